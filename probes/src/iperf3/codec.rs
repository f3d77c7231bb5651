//! What goes over the wire beside the payload: the cookie, the one-byte signals, framed JSON, and the head of
//! a datagram. Bytes in, values out; no socket and no clock.
//!
//! Everything a peer sends is bounded before it is kept: a document's length is refused as soon as its four
//! bytes are there.

use std::time::Duration;

use thiserror::Error;

/// Octets of a cookie on the wire: 36 characters and a NUL.
pub const COOKIE_OCTETS: usize = 37;

/// The largest parameters that are read. Stock clients send some 200 bytes; stock servers take 8 KiB.
pub const MAX_PARAMETERS: usize = 16 * 1024;

/// The largest results that are read: 128 streams need under 40 KiB.
pub const MAX_RESULTS: usize = 512 * 1024;

/// The alphabet of cookies.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What a cookie of ours begins with. Stock peers take cookies as they are, so that it tells our own server,
/// and nobody else, that this client waits for its turn. One stock cookie in 10^12 begins so by chance.
const OUR_MARK: &[u8; 8] = b"messnetz";

/// Characters behind the mark that say how many seconds the test will take.
const PLAN_CHARACTERS: usize = 4;

/// What a peer sent is not what the protocol says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// A cookie has other characters or another end.
    #[error("the peer did not begin with a cookie")]
    Cookie,
    /// No signal has this value.
    #[error("the peer sent the unknown state {0}")]
    Signal(i8),
    /// A document is announced that is longer than any can be.
    #[error("the peer announced {announced} bytes of JSON where at most {limit} are taken")]
    Length {
        /// What the four bytes say.
        announced: u32,
        /// What is taken.
        limit: usize,
    },
    /// A document is no JSON, is nested too deep, or lacks what it must have.
    #[error("the peer sent JSON that cannot be read: {0}")]
    Json(String),
    /// A parameter is outside of what the protocol allows.
    #[error("{name} = {value} was asked for, which is outside of {allowed}")]
    Parameter {
        /// The parameter's key on the wire.
        name: &'static str,
        /// What was asked for.
        value: String,
        /// What may be asked for.
        allowed: &'static str,
    },
}

/// The name of a test: whoever opens a connection with it belongs to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cookie([u8; COOKIE_OCTETS]);

impl Cookie {
    /// A cookie of ours, of so many random octets, for a test that is planned to last `planned`.
    #[must_use]
    pub fn ours(random: &[u8; COOKIE_OCTETS], planned: Option<Duration>) -> Self {
        let mut octets = random.map(|octet| character(u64::from(octet)));
        let seconds = planned.map_or(0, |planned| planned.as_secs().clamp(1, (1 << 20) - 1));
        let plan: [u8; PLAN_CHARACTERS] =
            std::array::from_fn(|at| character(seconds >> (5 * (PLAN_CHARACTERS - 1 - at))));
        let head = OUR_MARK.iter().chain(&plan);
        for (octet, &fixed) in octets.iter_mut().zip(head) {
            *octet = fixed;
        }
        if let Some(last) = octets.last_mut() {
            *last = 0;
        }
        Self(octets)
    }

    /// Reads what a connection begins with.
    ///
    /// # Errors
    /// [`CodecError::Cookie`] where it is none.
    pub fn parse(octets: [u8; COOKIE_OCTETS]) -> Result<Self, CodecError> {
        let [characters @ .., end] = &octets;
        if *end == 0 && characters.iter().all(|octet| ALPHABET.contains(octet)) {
            Ok(Self(octets))
        } else {
            Err(CodecError::Cookie)
        }
    }

    /// As it goes over the wire.
    #[must_use]
    pub const fn octets(&self) -> &[u8; COOKIE_OCTETS] {
        &self.0
    }

    /// Whether the client understands [`Signal::Queued`].
    #[must_use]
    pub fn can_wait(&self) -> bool {
        self.0.starts_with(OUR_MARK)
    }

    /// How long the test of a client of ours is planned to last; `None` where nobody said.
    #[must_use]
    pub fn planned(&self) -> Option<Duration> {
        if !self.can_wait() {
            return None;
        }
        let plan = self.0.iter().skip(OUR_MARK.len()).take(PLAN_CHARACTERS);
        let seconds = plan.fold(0, |seconds, octet| {
            let digit = ALPHABET.iter().position(|known| known == octet);
            seconds << 5 | digit.unwrap_or_default() as u64
        });
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}

/// The character that the lowest five bits of `bits` stand for.
fn character(bits: u64) -> u8 {
    let digit = (bits % 32) as u8;
    if digit < 26 {
        b'a' + digit
    } else {
        b'2' + (digit - 26)
    }
}

/// A step of the protocol, one byte on the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// All streams are there.
    TestStart,
    /// Data flows from now on.
    TestRunning,
    /// The client ends the test.
    TestEnd,
    /// The server asks for the parameters.
    ParamExchange,
    /// The server asks for the streams.
    CreateStreams,
    /// The server gives up.
    ServerTerminate,
    /// The client gives up.
    ClientTerminate,
    /// The server asks for the client's results.
    ExchangeResults,
    /// The server has told its results.
    DisplayResults,
    /// The client says goodbye.
    Done,
    /// The server is busy.
    AccessDenied,
    /// The server cannot run this test; two numbers follow.
    ServerError,
    /// Our own: the server is busy, and a document says how long. Sent only to clients whose cookie says that
    /// they understand it.
    Queued,
}

impl Signal {
    const ALL: [(Self, i8); 13] = [
        (Self::TestStart, 1),
        (Self::TestRunning, 2),
        (Self::TestEnd, 4),
        (Self::ParamExchange, 9),
        (Self::CreateStreams, 10),
        (Self::ServerTerminate, 11),
        (Self::ClientTerminate, 12),
        (Self::ExchangeResults, 13),
        (Self::DisplayResults, 14),
        (Self::Done, 16),
        (Self::AccessDenied, -1),
        (Self::ServerError, -2),
        (Self::Queued, 113),
    ];

    /// As it goes over the wire.
    #[must_use]
    pub fn octet(self) -> u8 {
        Self::ALL
            .iter()
            .find(|(signal, _)| *signal == self)
            .map_or(0, |(_, value)| value.cast_unsigned())
    }

    /// The signal of this octet.
    ///
    /// # Errors
    /// [`CodecError::Signal`] where there is none.
    pub fn parse(octet: u8) -> Result<Self, CodecError> {
        let value = octet.cast_signed();
        Self::ALL
            .iter()
            .find(|(_, known)| *known == value)
            .map(|(signal, _)| *signal)
            .ok_or(CodecError::Signal(value))
    }
}

/// What came over the control connection and is not used up yet.
#[derive(Debug, Default)]
pub struct Inbox {
    octets: Vec<u8>,
}

impl Inbox {
    /// Adds what was received.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// The next signal, where one is there.
    ///
    /// # Errors
    /// [`CodecError::Signal`] where the next octet is none.
    pub fn signal(&mut self) -> Result<Option<Signal>, CodecError> {
        self.take(1)
            .and_then(|octets| octets.first().copied())
            .map(Signal::parse)
            .transpose()
    }

    /// The next document of at most `limit` bytes, once all of it is there.
    ///
    /// # Errors
    /// [`CodecError::Length`] as soon as a longer one is announced.
    pub fn document(&mut self, limit: usize) -> Result<Option<Vec<u8>>, CodecError> {
        let Some((head, rest)) = self.octets.split_first_chunk() else {
            return Ok(None);
        };
        let announced = u32::from_be_bytes(*head);
        let length = announced as usize;
        if length > limit {
            return Err(CodecError::Length { announced, limit });
        }
        if rest.len() < length {
            return Ok(None);
        }
        Ok(self
            .take(head.len() + length)
            .map(|mut framed| framed.split_off(size_of::<u32>())))
    }

    /// The two numbers behind [`Signal::ServerError`]: iperf3's error and the operating system's.
    pub fn error_numbers(&mut self) -> Option<(i32, i32)> {
        let octets = self.take(8)?;
        let (first, rest) = octets.split_first_chunk()?;
        let (second, _) = rest.split_first_chunk()?;
        Some((i32::from_be_bytes(*first), i32::from_be_bytes(*second)))
    }

    /// Whether nothing is left over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        (self.octets.len() >= count).then(|| self.octets.drain(..count).collect())
    }
}

/// A document with its length before it.
#[must_use]
pub fn framed(document: &[u8]) -> Vec<u8> {
    let length = u32::try_from(document.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), document].concat()
}

/// The greeting with which a client opens a stream of datagrams ("9876" on the wire).
pub const UDP_HELLO: [u8; 4] = 0x3637_3839_u32.to_le_bytes();

/// The answer to it ("6789").
pub const UDP_ANSWER: [u8; 4] = 0x3637_3839_u32.to_be_bytes();

/// The greeting of versions before 3.11.
pub const UDP_OLD_HELLO: [u8; 4] = 123_456_789_u32.to_le_bytes();

/// Their answer.
pub const UDP_OLD_ANSWER: [u8; 4] = 987_654_321_u32.to_le_bytes();

/// The answer that whoever sent `hello` understands.
#[must_use]
pub fn udp_answer(hello: &[u8]) -> [u8; 4] {
    if hello.starts_with(&UDP_OLD_HELLO) {
        UDP_OLD_ANSWER
    } else {
        UDP_ANSWER
    }
}

/// Whether these octets answer a greeting.
#[must_use]
pub fn is_udp_answer(octets: &[u8]) -> bool {
    octets == UDP_ANSWER || octets == UDP_OLD_ANSWER
}

/// What a datagram begins with: the sender's clock when it left, and its number, which begins at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramHead {
    /// On a clock of the sender's that nothing is known about but its pace.
    pub sent: Duration,
    /// The number of the datagram in its stream.
    pub sequence: u64,
}

impl DatagramHead {
    /// The longest head: with a counter of 64 bit.
    pub const MAX_OCTETS: usize = 16;

    /// Octets of the head.
    #[must_use]
    pub const fn octets(wide: bool) -> usize {
        if wide { Self::MAX_OCTETS } else { 12 }
    }

    /// Writes it to the start of `datagram`, with a counter of 64 bit where it is `wide`, of 32 otherwise.
    /// Nothing is written where the datagram is shorter than its head.
    pub fn write(&self, wide: bool, datagram: &mut [u8]) {
        let Some(head) = datagram.get_mut(..Self::octets(wide)) else {
            return;
        };
        // 32 bit of seconds, as the wire has room for.
        let (seconds, micros) = (self.sent.as_secs() as u32, self.sent.subsec_micros());
        let counter = if wide {
            self.sequence.to_be_bytes().to_vec()
        } else {
            (self.sequence as u32).to_be_bytes().to_vec()
        };
        let octets = seconds
            .to_be_bytes()
            .into_iter()
            .chain(micros.to_be_bytes());
        for (place, octet) in head.iter_mut().zip(octets.chain(counter)) {
            *place = octet;
        }
    }

    /// Reads it; `None` where the datagram is too short to have one.
    #[must_use]
    pub fn parse(wide: bool, datagram: &[u8]) -> Option<Self> {
        let (seconds, rest) = datagram.split_first_chunk()?;
        let (micros, rest) = rest.split_first_chunk()?;
        let sequence = if wide {
            u64::from_be_bytes(*rest.first_chunk()?)
        } else {
            u64::from(u32::from_be_bytes(*rest.first_chunk()?))
        };
        let seconds = Duration::from_secs(u64::from(u32::from_be_bytes(*seconds)));
        let micros = Duration::from_micros(u64::from(u32::from_be_bytes(*micros)));
        Some(Self {
            sent: seconds + micros,
            sequence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STOCK: &[u8; COOKIE_OCTETS] = b"ronss2gogxgpoo2vdg33jwt4o4mmgnbsddxc\0";

    #[test]
    fn a_stock_cookie_is_read_and_cannot_wait() {
        let cookie = Cookie::parse(*STOCK).unwrap();
        assert_eq!(cookie.octets(), STOCK);
        assert!(!cookie.can_wait());
        assert_eq!(cookie.planned(), None);
    }

    #[test]
    fn our_cookie_is_a_cookie_and_says_that_it_waits_and_how_long_it_takes() {
        for seconds in [1, 10, 31, 32, 86_400] {
            let planned = Some(Duration::from_secs(seconds));
            let cookie = Cookie::ours(&[255; COOKIE_OCTETS], planned);
            assert_eq!(Cookie::parse(*cookie.octets()), Ok(cookie));
            assert!(cookie.can_wait());
            assert_eq!(cookie.planned(), planned);
        }
        assert_eq!(Cookie::ours(&[0; COOKIE_OCTETS], None).planned(), None);
    }

    #[test]
    fn other_characters_and_another_end_are_no_cookie() {
        for bad in [b'1', b'A', b'-', 0] {
            let mut octets = *STOCK;
            octets[7] = bad;
            assert_eq!(Cookie::parse(octets), Err(CodecError::Cookie));
        }
        let mut octets = *STOCK;
        octets[36] = b'a';
        assert_eq!(Cookie::parse(octets), Err(CodecError::Cookie));
    }

    #[test]
    fn every_signal_is_read_back_and_busy_is_ff() {
        for (signal, _) in Signal::ALL {
            assert_eq!(Signal::parse(signal.octet()), Ok(signal));
        }
        assert_eq!(Signal::AccessDenied.octet(), 0xff);
        assert_eq!(Signal::parse(3), Err(CodecError::Signal(3)));
    }

    #[test]
    fn a_document_is_given_out_once_it_is_whole() {
        let mut inbox = Inbox::default();
        for &octet in &framed(b"{}") {
            assert_eq!(inbox.document(10), Ok(None));
            inbox.push(&[octet]);
        }
        assert_eq!(inbox.document(10), Ok(Some(b"{}".to_vec())));
        assert!(inbox.is_empty());
    }

    #[test]
    fn four_gigabytes_are_refused_when_they_are_announced() {
        let mut inbox = Inbox::default();
        inbox.push(&u32::MAX.to_be_bytes());
        assert_eq!(
            inbox.document(10),
            Err(CodecError::Length {
                announced: u32::MAX,
                limit: 10
            })
        );
    }

    #[test]
    fn the_greetings_are_the_bytes_that_stock_peers_send() {
        assert_eq!(&UDP_HELLO, b"9876");
        assert_eq!(&UDP_ANSWER, b"6789");
        assert_eq!(UDP_OLD_ANSWER, [0xb1, 0x68, 0xde, 0x3a]);
        assert_eq!(udp_answer(&UDP_OLD_HELLO), UDP_OLD_ANSWER);
        assert_eq!(udp_answer(b"anything"), UDP_ANSWER);
        assert!(is_udp_answer(&UDP_OLD_ANSWER) && is_udp_answer(&UDP_ANSWER));
        assert!(!is_udp_answer(&UDP_HELLO) && !is_udp_answer(b"67890"));
    }

    #[test]
    fn a_counter_of_32_bit_lies_where_the_upper_half_of_the_wide_one_lies() {
        let head = DatagramHead {
            sent: Duration::new(1, 2_000),
            sequence: 0x1_0000_0003,
        };
        let mut datagram = [0xee; 20];
        head.write(true, &mut datagram);
        assert_eq!(
            datagram,
            [
                0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0xee, 0xee, 0xee, 0xee
            ]
        );
        assert_eq!(DatagramHead::parse(true, &datagram), Some(head));
        head.write(false, &mut datagram);
        assert_eq!(datagram[8..12], [0, 0, 0, 3]);
        let short = DatagramHead::parse(false, &datagram[..12]).unwrap();
        assert_eq!(short.sequence, 3);
        assert_eq!(DatagramHead::parse(true, &datagram[..15]), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_taken_or_refused(octets: Vec<u8>) {
            let mut inbox = Inbox::default();
            inbox.push(&octets);
            let _ = inbox.signal();
            let _ = inbox.document(100);
            let _ = inbox.error_numbers();
            let _ = DatagramHead::parse(true, &octets);
        }
    }
}
