//! The numbers by which stock iperf3 names its errors on the wire (`iperf_api.h`), as far as a server sends
//! them.

use super::codec::CodecError;

/// A parameter's time is too long.
const DURATION: i32 = 5;
/// Too many streams.
pub(super) const STREAMS: i32 = 6;
/// A TCP block is too large.
const BLOCK: i32 = 7;
/// A socket buffer is too large.
const BUFFER: i32 = 8;
/// A segment is too large.
const MSS: i32 = 10;
/// The omitted time is too long.
const OMIT: i32 = 12;
/// There is no SCTP.
const NO_SCTP: i32 = 18;
/// A datagram is too large or too small.
const DATAGRAM: i32 = 20;
/// The rate is above the server's limit.
pub(super) const TOTAL_RATE: i32 = 27;
/// The parameters could not be read.
const PARAMETERS: i32 = 114;
/// The congestion control cannot be set.
pub(super) const CONGESTION: i32 = 134;
/// A stream could not be made.
pub(super) const CREATE_STREAM: i32 = 200;

/// The number of "test duration too long", which has a limit of the server's behind it too.
pub(super) const TOO_LONG: i32 = DURATION;

/// The number that names `error` best.
pub(super) fn number(error: &CodecError) -> i32 {
    match error {
        CodecError::Parameter { name, .. } => match *name {
            "parallel" => STREAMS,
            "time" | "num" => DURATION,
            "omit" => OMIT,
            "len" => BLOCK,
            "window" => BUFFER,
            "MSS" => MSS,
            "congestion" => CONGESTION,
            "sctp" => NO_SCTP,
            _ => PARAMETERS,
        },
        _ => PARAMETERS,
    }
}

/// What a server means by its number.
pub(super) fn describe(number: i32) -> String {
    let known = match number {
        DURATION => "the test would take too long",
        STREAMS => "too many streams",
        BLOCK => "blocks too large",
        BUFFER => "window too large",
        MSS => "MSS too large",
        OMIT => "omitted time too long",
        NO_SCTP => "no SCTP",
        DATAGRAM => "datagrams too large or too small",
        TOTAL_RATE => "the rate is above the server's limit",
        106 => "it could not read the cookie",
        109 => "it saw the control connection closed",
        110 => "it received an unknown message",
        PARAMETERS => "it could not read the parameters",
        117 => "it could not read the results",
        CONGESTION => "it cannot use this congestion control",
        141 => "it cannot make the window this large",
        142 => "it wants a user name and a password",
        CREATE_STREAM..=208 => "a stream failed",
        _ => return format!("error {number}"),
    };
    format!("{known} (error {number})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_that_we_send_is_described() {
        let ours = [
            TOO_LONG,
            STREAMS,
            TOTAL_RATE,
            CONGESTION,
            CREATE_STREAM,
            number(&CodecError::Cookie),
        ];
        for number in ours {
            assert!(!describe(number).starts_with("error"), "{number}");
        }
        assert_eq!(describe(9999), "error 9999");
    }
}
