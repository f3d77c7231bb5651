//! Whether a resolver tells the truth: it answers, it does not invent addresses for names that do not
//! exist, and it checks signatures (DNSSEC, RFC 4035).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join;
use messnetz_metric::{Failure, Micros};
use serde::{Deserialize, Serialize};

use crate::dns::{DnsReport, Query, Record, resolve};
use crate::{Binding, random};

/// A domain below which nothing exists (RFC 6761, section 6.4).
const NOWHERE: &str = "invalid";

/// The response code of a resolver that failed, or found a signature wrong (RFC 4035, section 5.5).
const SERVFAIL: u16 = 2;

/// What resolvers are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// A name that has an address and is signed.
    pub signed: String,
    /// A name whose signature is wrong on purpose.
    pub broken: String,
    /// A domain below which unknown names do not exist.
    pub domain: String,
}

/// The examination of one resolver.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Who is asked.
    pub server: SocketAddr,
    /// For what.
    pub names: Names,
    /// From which interface.
    pub binding: Binding,
    /// How long each answer may take.
    pub deadline: Duration,
}

/// How a resolver fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Who was asked.
    pub server: SocketAddr,
    /// The time to the address of a name that exists.
    #[serde(rename = "time_us")]
    pub time: Micros,
    /// The response code for that name; 0 is no error.
    pub rcode: u16,
    /// The addresses that it gave for names that do not exist.
    pub invented: Vec<IpAddr>,
    /// Whether it checks signatures.
    pub signatures: Signatures,
}

/// What a resolver does about signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signatures {
    /// It checks them and refuses what is wrong.
    Checked,
    /// It hands out what is wrongly signed.
    Ignored,
    /// The answers do not tell.
    Unclear,
}

impl Examination {
    /// Asks all questions at once.
    ///
    /// # Errors
    /// As [`resolve`], where the resolver does not even answer for the name that exists.
    pub async fn run(&self) -> Result<Health, Failure> {
        let attempt = format!("asking resolver {}", self.server);
        let label = u64::from_be_bytes(random::octets(&attempt)?);
        let nowhere = format!("{label:016x}.{NOWHERE}");
        let below = format!("{label:016x}.{}", self.names.domain);
        let ((signed, broken), (nowhere, below)) = join(
            join(self.ask(&self.names.signed), self.ask(&self.names.broken)),
            join(self.ask(&nowhere), self.ask(&below)),
        )
        .await;
        Ok(judge(
            &signed?,
            broken.ok().as_ref(),
            [nowhere.ok(), below.ok()],
        ))
    }

    async fn ask(&self, name: &str) -> Result<DnsReport, Failure> {
        resolve(&Query {
            server: self.server,
            name: name.to_owned(),
            record: Record::A,
            dnssec: true,
            binding: self.binding.clone(),
            deadline: self.deadline,
        })
        .await
    }
}

fn judge(
    signed: &DnsReport,
    broken: Option<&DnsReport>,
    unknown: [Option<DnsReport>; 2],
) -> Health {
    let given = |report: &DnsReport| report.rcode == 0 && !report.addresses.is_empty();
    let mut invented: Vec<IpAddr> = unknown
        .into_iter()
        .flatten()
        .filter(given)
        .flat_map(|report| report.addresses)
        .collect();
    invented.sort_unstable();
    invented.dedup();
    let signatures = match broken {
        Some(broken) if given(broken) => Signatures::Ignored,
        Some(broken) if broken.rcode == SERVFAIL && signed.authenticated && given(signed) => {
            Signatures::Checked
        }
        _ => Signatures::Unclear,
    };
    Health {
        server: signed.server,
        time: signed.time,
        rcode: signed.rcode,
        invented,
        signatures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{Message, OpCode, ResponseCode};
    use hickory_proto::rr::{RData, Record as ResourceRecord, rdata};
    use messnetz_metric::FailureReason;
    use tokio::net::UdpSocket;

    /// A resolver that answers each name as `behaviour` says: response code, address, authenticated.
    async fn resolver(
        behaviour: impl Fn(&str) -> (ResponseCode, Option<[u8; 4]>, bool) + Send + 'static,
    ) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let asked = Message::from_vec(&buffer[..length]).unwrap();
                assert!(asked.edns.as_ref().unwrap().flags().dnssec_ok);
                let name = asked.queries[0].name.clone();
                let (rcode, address, authentic) = behaviour(&name.to_string());
                let mut answer = Message::response(asked.metadata.id, OpCode::Query);
                answer.metadata.response_code = rcode;
                answer.metadata.authentic_data = authentic;
                answer.add_queries(asked.queries);
                if let Some([a, b, c, d]) = address {
                    let data = RData::A(rdata::A::new(a, b, c, d));
                    answer.add_answer(ResourceRecord::from_rdata(name, 60, data));
                }
                let bytes = answer.to_vec().unwrap();
                socket.send_to(&bytes, peer).await.unwrap();
            }
        });
        server
    }

    async fn examined(server: SocketAddr) -> Result<Health, Failure> {
        let names = Names {
            signed: "signed.example".to_owned(),
            broken: "broken.example".to_owned(),
            domain: "domain.example".to_owned(),
        };
        let examination = Examination {
            server,
            names,
            binding: Binding::any(),
            deadline: Duration::from_millis(500),
        };
        examination.run().await
    }

    const HERE: Option<[u8; 4]> = Some([192, 0, 2, 1]);
    const THERE: Option<[u8; 4]> = Some([192, 0, 2, 99]);

    #[tokio::test]
    async fn a_truthful_resolver_checks_signatures_and_invents_nothing() {
        let server = resolver(|name| match name {
            "signed.example." => (ResponseCode::NoError, HERE, true),
            "broken.example." => (ResponseCode::ServFail, None, false),
            _ => (ResponseCode::NXDomain, None, false),
        });
        let health = examined(server.await).await.unwrap();
        assert_eq!(health.signatures, Signatures::Checked);
        assert_eq!((health.invented, health.rcode), (Vec::new(), 0));
        assert!(health.time.as_micros() > 0);
    }

    #[tokio::test]
    async fn a_resolver_that_leads_unknown_names_somewhere_is_caught() {
        let server = resolver(|name| match name {
            "signed.example." | "broken.example." => (ResponseCode::NoError, HERE, false),
            _ => (ResponseCode::NoError, THERE, false),
        });
        let health = examined(server.await).await.unwrap();
        assert_eq!(health.invented, [IpAddr::from([192, 0, 2, 99])]);
        assert_eq!(health.signatures, Signatures::Ignored);
    }

    #[tokio::test]
    async fn it_is_enough_to_lie_below_real_domains() {
        let server = resolver(|name| match name {
            "signed.example." => (ResponseCode::NoError, HERE, true),
            "broken.example." => (ResponseCode::ServFail, None, false),
            _ if name.ends_with(".domain.example.") => (ResponseCode::NoError, THERE, false),
            _ => (ResponseCode::NXDomain, None, false),
        });
        let health = examined(server.await).await.unwrap();
        assert_eq!(health.invented, [IpAddr::from([192, 0, 2, 99])]);
    }

    /// A resolver that fails at everything refuses the wrong signature, too, and has checked nothing.
    #[tokio::test]
    async fn a_resolver_that_always_fails_checks_nothing() {
        let server = resolver(|_| (ResponseCode::ServFail, None, false)).await;
        let health = examined(server).await.unwrap();
        assert_eq!(
            (health.rcode, health.signatures),
            (SERVFAIL, Signatures::Unclear)
        );
    }

    #[tokio::test]
    async fn silence_is_a_failure_in_time() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let failure = examined(silent.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Timeout);
    }
}
