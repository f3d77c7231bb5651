//! HTTP/1.1 as a sender speaks it that spends nothing on it: requests are written beforehand, and of an answer
//! only the status and the length are read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use messnetz_probes::tls::{Fingerprint, Trust, client_config};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

/// A request as it goes over the connection, whole.
pub(crate) type Request = Vec<u8>;

/// A POST of this body.
pub(crate) fn post(path: &str, headers: &str, body: &[u8]) -> Request {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: messnetz-collector\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A connection, with or without TLS.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Whom to connect to, and how.
#[derive(Clone)]
pub(crate) struct FarEnd {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl FarEnd {
    pub(crate) fn new(address: SocketAddr, pinned: Option<Fingerprint>) -> Self {
        let tls = pinned.map(|pin| TlsConnector::from(client_config(&Trust::Pinned(pin))));
        Self { address, tls }
    }

    /// A connection from this address.
    pub(crate) async fn connect(&self, from: IpAddr) -> Result<Conversation> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Duplex> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from("messnetz-collector")?;
                Box::new(tls.connect(name, stream).await?)
            }
        };
        Ok(Conversation {
            stream,
            read: Vec::new(),
        })
    }
}

/// An answer: its status and its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A connection on which one request after another is answered.
pub(crate) struct Conversation {
    stream: Box<dyn Duplex>,
    read: Vec<u8>,
}

impl Conversation {
    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        loop {
            if let Some((status, head, length)) = answer(&self.read)? {
                let whole = head + length;
                if self.read.len() >= whole {
                    let body = self.read.get(head..whole).unwrap_or_default().to_vec();
                    self.read.drain(..whole);
                    return Ok(Answer { status, body });
                }
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the connection ended before the answer did");
            }
        }
    }
}

/// Status, length of the head and length of the body; nothing where the head is not whole yet.
fn answer(read: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        return Ok(None);
    };
    let head = std::str::from_utf8(read.get(..end).unwrap_or_default())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status: u16 = status.context("an answer without status")?.parse()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    match (status, length) {
        (204, None) => Ok(Some((status, end + 4, 0))),
        (_, Some(length)) => Ok(Some((status, end + 4, length))),
        _ => bail!("an answer that does not say how long it is: {head}"),
    }
}

/// Sends what each connection has to send, one request after the answer to the one before, all connections at
/// once; every answer must pass. Gives the time from the first request to the last answer.
pub(crate) fn send_all(
    to: &FarEnd,
    of_connections: Vec<Vec<Request>>,
    passes: fn(&Answer) -> bool,
) -> Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let from = IpAddr::from([127, 0, 0, 1]);
        let mut ready = Vec::new();
        for requests in of_connections {
            ready.push((to.connect(from).await?, Arc::new(requests)));
        }
        let begun = Instant::now();
        let mut talking = tokio::task::JoinSet::new();
        for (mut conversation, requests) in ready {
            talking.spawn(async move {
                for request in requests.iter() {
                    let answer = conversation.ask(request).await?;
                    if !passes(&answer) {
                        let said = String::from_utf8_lossy(&answer.body).into_owned();
                        bail!("refused with {}: {said}", answer.status);
                    }
                }
                Ok(())
            });
        }
        while let Some(ended) = talking.join_next().await {
            ended??;
        }
        Ok(begun.elapsed())
    })
}
