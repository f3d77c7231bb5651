//! How long one resolver takes to answer one question (RFC 1035).
//!
//! A resolver library would hide what is measured here: which server was asked, how often, and what came
//! out of a cache. So the message is hickory's and the socket is ours: one question, one server, no
//! retry. An answer cut off by UDP is asked for again over TCP (RFC 7766, section 5), and the report
//! says so.
//!
//! Layers: `codec` for questions and answers, `resolv_conf` for the system's list of resolvers, `driver`
//! for the sockets.

mod codec;
mod driver;
mod resolv_conf;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use messnetz_metric::{Failure, FailureReason, Micros, Quantity, Reading, Value};
use serde::Serialize;

pub use driver::resolve;
pub use resolv_conf::system_resolvers;

use crate::Binding;

/// What kind of address is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// IPv4 addresses (RFC 1035, section 3.4.1).
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
}

/// One question to one server.
#[derive(Clone, Debug)]
pub struct Query {
    /// Who is asked.
    pub server: SocketAddr,
    /// The name whose addresses are asked for; taken as complete, no search list is applied.
    pub name: String,
    /// Which addresses.
    pub record: Record,
    /// Whether to ask for signatures as well (RFC 4035, section 3.2.1).
    pub dnssec: bool,
    /// From which interface.
    pub binding: Binding,
    /// How long to wait for the whole answer, over TCP included.
    pub deadline: Duration,
}

/// What [`resolve`] tells about.
pub const QUANTITIES: &[Quantity] = &[Quantity::DnsTime];

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DnsReport {
    /// Who answered.
    pub server: SocketAddr,
    /// What was asked for.
    pub name: String,
    /// Time from the question to the whole answer; with a second question over TCP where
    /// [`Self::truncated`] says so.
    #[serde(rename = "time_us")]
    pub time: Micros,
    /// The response code: 0 is no error, 2 a failure of the server, 3 an unknown name (RFC 1035,
    /// section 4.1.1, extended by RFC 6891).
    pub rcode: u16,
    /// The addresses of the kind asked for, at the end of any aliases.
    pub addresses: Vec<IpAddr>,
    /// Records in the answer section, aliases included.
    pub answers: usize,
    /// Whether the answer over UDP was cut off, so that this one came over TCP.
    pub truncated: bool,
    /// Whether the server says that it has checked the signatures (RFC 4035, section 3.2.3).
    pub authenticated: bool,
}

impl DnsReport {
    /// One reading for each of [`QUANTITIES`]: a time only where the server gave an address. An error
    /// can be quick, too, and is no good time.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        if self.rcode == 0 && !self.addresses.is_empty() {
            return vec![Reading::value(Quantity::DnsTime, Value::Time(self.time))];
        }
        let Self {
            server,
            name,
            rcode,
            ..
        } = self;
        let failure = Failure::new(
            FailureReason::NameResolution,
            format_args!("resolver {server} has no address for '{name}' (response code {rcode})"),
        );
        Reading::failed(QUANTITIES, &failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_error_is_no_good_time() {
        let answer = |rcode, addresses: &[IpAddr]| DnsReport {
            server: SocketAddr::from(([192, 0, 2, 53], 53)),
            name: "schule.example".into(),
            time: Micros::from_micros(900),
            rcode,
            addresses: addresses.to_vec(),
            answers: 1,
            truncated: false,
            authenticated: false,
        };
        let address = [IpAddr::from([192, 0, 2, 1])];
        let time = Reading::value(Quantity::DnsTime, Value::Time(Micros::from_micros(900)));
        let time = [time];
        assert_eq!(answer(0, &address).readings(), time);
        for useless in [answer(0, &[]), answer(2, &[]), answer(3, &[])] {
            assert_ne!(useless.readings(), time);
        }
    }
}
