//! The sockets and the clock of one question.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use messnetz_metric::Failure;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::codec::{Answer, Asked, UDP_PAYLOAD};
use super::{DnsReport, Query};
use crate::Binding;
use crate::failure::{from_io, timeout};
use crate::random;

/// Asks one server one question.
///
/// # Errors
/// [`messnetz_metric::FailureReason::Timeout`] where no answer to this question came by the deadline; foreign datagrams
/// are ignored until then. [`messnetz_metric::FailureReason::NameResolution`] where the name is none. An error that the
/// server answers is not an error here, but in [`DnsReport::readings`].
pub async fn resolve(query: &Query) -> Result<DnsReport, Failure> {
    let attempt = format!("asking resolver {} for '{}'", query.server, query.name);
    tokio::time::timeout(query.deadline, exchange(query, &attempt))
        .await
        .unwrap_or_else(|_| Err(timeout(&attempt, query.deadline)))
}

async fn exchange(query: &Query, attempt: &str) -> Result<DnsReport, Failure> {
    let failed = |error: io::Error| from_io(attempt, &error);
    // Not to be guessed by whoever would answer in the server's place (RFC 5452, section 9.2).
    let id = u16::from_be_bytes(random::octets(attempt)?);
    let asked = Asked::new(id, &query.name, query.record, query.dnssec)?;
    let question = asked.encode()?;
    let udp = open(query.server, &query.binding, Type::DGRAM, attempt)?;
    let start = Instant::now();
    let mut answer = over_udp(udp, query.server, &asked, &question)
        .await
        .map_err(failed)?;
    let truncated = answer.truncated;
    if truncated {
        let tcp = open(query.server, &query.binding, Type::STREAM, attempt)?;
        let tcp = TcpSocket::from_std_stream(tcp.into())
            .connect(query.server)
            .await
            .map_err(failed)?;
        answer = over_tcp(tcp, &asked, &question).await.map_err(failed)?;
    }
    Ok(DnsReport {
        server: query.server,
        name: query.name.clone(),
        time: start.elapsed().into(),
        rcode: answer.rcode,
        addresses: answer.addresses,
        answers: answer.answers,
        truncated,
        authenticated: answer.authenticated,
    })
}

fn open(
    server: SocketAddr,
    binding: &Binding,
    kind: Type,
    attempt: &str,
) -> Result<Socket, Failure> {
    let protocol = if kind == Type::DGRAM {
        Protocol::UDP
    } else {
        Protocol::TCP
    };
    let socket = Socket::new(Domain::for_address(server), kind, Some(protocol))
        .map_err(|e| from_io(attempt, &e))?;
    binding.apply(&socket)?;
    socket
        .set_nonblocking(true)
        .map_err(|e| from_io(attempt, &e))?;
    Ok(socket)
}

/// Asks over UDP and waits for the answer to this question, passing over all else.
async fn over_udp(
    socket: Socket,
    server: SocketAddr,
    asked: &Asked,
    question: &[u8],
) -> io::Result<Answer> {
    // Connected, the socket gets the server's packets only, and its port unreachable as an error.
    socket.connect(&server.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    socket.send(question).await?;
    let mut buffer = [0; UDP_PAYLOAD as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer.get(..length).and_then(|b| asked.answered_by(b)) {
            return Ok(answer);
        }
    }
}

/// Asks over TCP: two octets of length before each message (RFC 1035, section 4.2.2).
async fn over_tcp(mut stream: TcpStream, asked: &Asked, question: &[u8]) -> io::Result<Answer> {
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], question].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    asked.answered_by(&bytes).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "what came over TCP is no answer to the question",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Record;
    use super::super::codec::tests::answer;
    use super::*;
    use hickory_proto::op::Message;
    use messnetz_metric::FailureReason;
    use tokio::net::TcpListener;

    fn query(server: SocketAddr, record: Record) -> Query {
        Query {
            server,
            name: "moodle.schule.example".into(),
            record,
            dnssec: false,
            binding: Binding::any(),
            deadline: Duration::from_secs(10),
        }
    }

    /// A resolver that answers each question over UDP with the datagrams that `answers` makes of it.
    async fn resolver(
        address: &str,
        answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> SocketAddr {
        let socket = UdpSocket::bind((address, 0)).await.unwrap();
        let server = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                for answer in answers(&buffer[..length]) {
                    socket.send_to(&answer, peer).await.unwrap();
                }
            }
        });
        server
    }

    #[tokio::test]
    async fn an_answer_is_timed_and_read() {
        for (address, record, expected) in [
            ("127.0.0.1", Record::A, "192.0.2.1"),
            ("::1", Record::Aaaa, "2001:db8::1"),
        ] {
            let server = resolver(address, |q| vec![answer(q, |_| {})]).await;
            let report = resolve(&query(server, record)).await.unwrap();
            assert_eq!(
                report.addresses,
                [expected.parse::<std::net::IpAddr>().unwrap()]
            );
            assert_eq!(
                (report.rcode, report.answers, report.truncated),
                (0, 2, false)
            );
            assert!(report.time.as_micros() > 0);
            assert_eq!(report.readings().len(), super::super::QUANTITIES.len());
        }
    }

    #[tokio::test]
    async fn foreign_datagrams_are_passed_over() {
        let server = resolver("127.0.0.1", |question| {
            let forged = |message: &mut Message| message.metadata.id ^= 1;
            vec![
                b"noise".to_vec(),
                answer(question, forged),
                answer(question, |_| {}),
            ]
        })
        .await;
        let report = resolve(&query(server, Record::A)).await.unwrap();
        assert_eq!(report.answers, 2);
    }

    #[tokio::test]
    async fn only_foreign_datagrams_end_with_the_deadline() {
        let server = resolver("127.0.0.1", |question| {
            vec![answer(question, |message| message.metadata.id ^= 1); 3]
        })
        .await;
        let failure = resolve(&Query {
            deadline: Duration::from_millis(100),
            ..query(server, Record::A)
        })
        .await
        .unwrap_err();
        assert_eq!(failure.reason, FailureReason::Timeout);
    }

    #[tokio::test]
    async fn a_cut_off_answer_is_asked_for_over_tcp() {
        let server = resolver("127.0.0.1", |question| {
            vec![answer(question, |message| {
                message.metadata.truncation = true;
                message.answers.clear();
            })]
        })
        .await;
        let listener = TcpListener::bind(server).await.unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await.unwrap();
            let reply = answer(&question, |_| {});
            stream.write_u16(reply.len() as u16).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        });
        let report = resolve(&query(server, Record::A)).await.unwrap();
        assert!(report.truncated);
        assert_eq!(report.addresses.len(), 1);
    }

    #[tokio::test]
    async fn a_host_without_a_resolver_refuses() {
        let server = {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.local_addr().unwrap()
        };
        let failure = resolve(&query(server, Record::A)).await.unwrap_err();
        assert_eq!(failure.reason, FailureReason::Refused);
    }
}
