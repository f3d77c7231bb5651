//! Questions and answers as bytes; the coding is hickory's.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question};
use hickory_proto::rr::{Name, RData, RecordType};
use messnetz_metric::{Failure, FailureReason};

use super::Record;

/// The largest answer over UDP that we ask for. It passes everywhere without fragments (RFC 9715): 1280
/// bytes that every IPv6 link carries, less the headers of IPv6 and UDP.
pub(super) const UDP_PAYLOAD: u16 = 1232;

/// A question, with the identifier that its answer must carry.
pub(super) struct Asked {
    id: u16,
    question: Question,
    dnssec: bool,
}

/// What an answer says, as far as we ask.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) rcode: u16,
    pub(super) truncated: bool,
    pub(super) authenticated: bool,
    pub(super) answers: usize,
    pub(super) addresses: Vec<IpAddr>,
}

impl Asked {
    /// # Errors
    /// [`FailureReason::NameResolution`] where `name` is not a domain name.
    pub(super) fn new(id: u16, name: &str, record: Record, dnssec: bool) -> Result<Self, Failure> {
        let no_name = |why: &dyn std::fmt::Display| {
            let detail = format_args!("'{name}' is not a domain name: {why}");
            Failure::new(FailureReason::NameResolution, detail)
        };
        if name.is_empty() {
            // The parser takes it for the root.
            return Err(no_name(&"it is empty"));
        }
        let mut parsed = Name::from_ascii(name).map_err(|e| no_name(&e))?;
        parsed.set_fqdn(true);
        let kind = match record {
            Record::A => RecordType::A,
            Record::Aaaa => RecordType::AAAA,
        };
        Ok(Self {
            id,
            question: Question::query(parsed, kind),
            dnssec,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, Failure> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(self.question.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        edns.set_dnssec_ok(self.dnssec);
        message.set_edns(edns);
        message.to_vec().map_err(|error| {
            let detail = format_args!("asking for {}: {error}", self.question.name);
            Failure::new(FailureReason::NameResolution, detail)
        })
    }

    /// The answer that `bytes` are, if they answer this question: identifier and question must be the
    /// same (RFC 5452, section 9.1). A cut-off answer may be cut anywhere after the question.
    pub(super) fn answered_by(&self, bytes: &[u8]) -> Option<Answer> {
        let message = Message::from_vec(bytes).ok()?;
        let head = message.metadata;
        let ours = head.id == self.id
            && head.message_type == MessageType::Response
            && head.op_code == OpCode::Query
            && message.queries == [self.question.clone()];
        ours.then(|| Answer {
            rcode: head.response_code.into(),
            truncated: head.truncation,
            authenticated: head.authentic_data,
            answers: message.answers.len(),
            addresses: message
                .answers
                .iter()
                .filter_map(|record| match (&record.data, self.question.query_type) {
                    (RData::A(a), RecordType::A) => Some(IpAddr::V4(a.0)),
                    (RData::AAAA(a), RecordType::AAAA) => Some(IpAddr::V6(a.0)),
                    _ => None,
                })
                .collect(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::{Record as ResourceRecord, rdata};
    use proptest::prelude::*;

    /// A server's answer to `question`, with an alias and an address.
    pub(in crate::dns) fn answer(question: &[u8], change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let asked = Message::from_vec(question).unwrap();
        let mut message = Message::response(asked.metadata.id, OpCode::Query);
        let name = asked.queries[0].name.clone();
        let alias = Name::from_ascii("alias.example.").unwrap();
        let cname = RData::CNAME(rdata::CNAME(alias.clone()));
        let address = match asked.queries[0].query_type {
            RecordType::A => RData::A(rdata::A::new(192, 0, 2, 1)),
            _ => RData::AAAA(rdata::AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        };
        message.add_queries(asked.queries);
        message.add_answer(ResourceRecord::from_rdata(name, 60, cname));
        message.add_answer(ResourceRecord::from_rdata(alias, 60, address));
        change(&mut message);
        message.to_vec().unwrap()
    }

    fn asked() -> (Asked, Vec<u8>) {
        let asked = Asked::new(0x1234, "Moodle.Schule.example", Record::A, false).unwrap();
        let bytes = asked.encode().unwrap();
        (asked, bytes)
    }

    #[test]
    fn a_question_is_written_as_rfc_1035_draws_it() {
        let (_, bytes) = asked();
        // Identifier, recursion desired, one question, one additional record (EDNS).
        assert_eq!(bytes[..12], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[12..19], *b"\x06Moodle");
        // Payload size in the class field of the OPT record (RFC 6891, section 6.1.2).
        let opt = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes[bytes.len() - opt.len()..], opt);
    }

    #[test]
    fn an_alias_is_counted_and_its_address_taken() {
        let (asked, question) = asked();
        let found = asked.answered_by(&answer(&question, |_| {})).unwrap();
        assert_eq!(found.addresses, [IpAddr::from([192, 0, 2, 1])]);
        assert_eq!((found.answers, found.rcode, found.truncated), (2, 0, false));
    }

    #[test]
    fn errors_are_answers_too() {
        let (asked, question) = asked();
        let refused = answer(&question, |m| {
            m.answers.clear();
            m.metadata.response_code = ResponseCode::Refused;
        });
        assert_eq!(asked.answered_by(&refused).unwrap().rcode, 5);
    }

    #[test]
    fn what_answers_another_question_is_foreign() {
        let (asked, question) = asked();
        let other = Name::from_ascii("other.example.").unwrap();
        let foreign = [
            answer(&question, |m| m.metadata.id ^= 1),
            answer(&question, |m| m.queries[0].name = other),
            answer(&question, |m| m.queries[0].query_type = RecordType::AAAA),
            answer(&question, |m| m.queries.clear()),
            answer(&question, |m| m.metadata.message_type = MessageType::Query),
        ];
        for bytes in foreign {
            assert_eq!(asked.answered_by(&bytes), None);
        }
    }

    #[test]
    fn what_is_no_name_is_a_failure() {
        let long = "a".repeat(64);
        for name in ["", "a..b", long.as_str()] {
            let failure = Asked::new(1, name, Record::A, false).err().unwrap();
            assert_eq!(failure.reason, FailureReason::NameResolution, "{failure}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            at in 0_usize..80, noise in prop::collection::vec(any::<u8>(), 0..80)
        ) {
            let (asked, question) = asked();
            let _ = asked.answered_by(&noise);
            let mut bytes = answer(&question, |_| {});
            let end = (at + noise.len()).min(bytes.len());
            let start = at.min(end);
            bytes.splice(start..end, noise);
            let _ = asked.answered_by(&bytes);
        }
    }
}
