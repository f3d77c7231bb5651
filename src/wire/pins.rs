//! Which certificates of the collector agents believe: a list that it signs with the key it is named after, so that its
//! certificate can be exchanged without anybody going to the boxes.

use messnetz_metric::UnixMillis;
use messnetz_probes::tls::Fingerprint;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{CollectorId, PublicKey, Signed, SignedError, Statement};

/// Path of the list, for agents that do not know the certificate that answers.
pub const PINS_PATH: &str = "/v1/pins";

/// Names in a request which list its sender has: its number, 0 for none.
pub const PINS_HEADER: &str = "messnetz-pins";

/// Most certificates on a list.
const MAX_PINS: usize = 4;

/// The certificates that agents are to believe. Read leniently: the collector may be newer than the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// Whose they are.
    pub collector: CollectorId,
    /// Grows with each list: none is believed after a later one.
    pub number: u64,
    /// When it was signed, by the collector's clock.
    pub issued_at: UnixMillis,
    /// SHA-256 of each certificate; the one that is in use stands first.
    pub accept: Vec<Fingerprint>,
}

impl Statement for Pins {
    const FORMAT: &'static str = "messnetz-pins-1";
}

/// What the door for lists answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PinsAnswer {
    /// What the list is signed with; the collector's name is made of it.
    pub receipt_key: PublicKey,
    /// The list.
    pub pins: Signed<Pins>,
}

/// A list that is not to be believed.
#[derive(Debug, Error)]
pub enum PinsError {
    /// Not the collector's word.
    #[error("the list of certificates is not signed with the collector's key")]
    Signed(#[from] SignedError),
    /// Another collector's.
    #[error("the list of certificates is of the collector {0}")]
    Other(CollectorId),
    /// None, or too many.
    #[error("a list of {0} certificates: it has 1 to {MAX_PINS}")]
    Number(usize),
    /// A later one was believed before.
    #[error("the list of certificates has number {offered}, which is not above {known}")]
    Older {
        /// Its number.
        offered: u64,
        /// The number of the one that is believed.
        known: u64,
    },
}

impl Pins {
    /// A list, once it is known to be of the collector that has this key.
    ///
    /// # Errors
    /// Where it is not signed with the key, is another collector's, or none.
    pub fn verified(signed: &Signed<Self>, key: &PublicKey) -> Result<Self, PinsError> {
        let pins = signed.verified(key)?;
        if pins.collector != CollectorId::of_key(key.octets()) {
            return Err(PinsError::Other(pins.collector));
        }
        if !(1..=MAX_PINS).contains(&pins.accept.len()) {
            return Err(PinsError::Number(pins.accept.len()));
        }
        Ok(pins)
    }

    /// The same, where it is later than the list of this number.
    ///
    /// # Errors
    /// As [`Self::verified`], and where it is not later.
    pub fn later(signed: &Signed<Self>, key: &PublicKey, known: u64) -> Result<Self, PinsError> {
        let pins = Self::verified(signed, key)?;
        if pins.number <= known {
            return Err(PinsError::Older {
                offered: pins.number,
                known,
            });
        }
        Ok(pins)
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::Ed25519KeyPair;

    use super::*;

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn pins(of: &Ed25519KeyPair, number: u64) -> Pins {
        Pins {
            collector: CollectorId::of_key(PublicKey::from(of).octets()),
            number,
            issued_at: UnixMillis(5),
            accept: vec![Fingerprint::of(b"a"), Fingerprint::of(b"b")],
        }
    }

    #[test]
    fn only_the_key_that_the_collector_is_named_after_says_what_is_believed() {
        let (mine, thief) = (key(1), key(2));
        let public = PublicKey::from(&mine);
        let list = pins(&mine, 7);
        let signed = Signed::by(&mine, &list).unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        let read: Signed<Pins> = serde_json::from_str(&text).unwrap();
        assert_eq!(Pins::verified(&read, &public).unwrap(), list);
        let forged = Signed::by(&thief, &list).unwrap();
        let changed = text.replace("\"number\":7", "\"number\":9");
        for wrong in [forged, serde_json::from_str(&changed).unwrap()] {
            let refused = Pins::verified(&wrong, &public);
            assert!(matches!(refused, Err(PinsError::Signed(_))), "{refused:?}");
        }
        let other = Signed::by(&mine, &pins(&thief, 7)).unwrap();
        let refused = Pins::verified(&other, &public);
        assert!(matches!(refused, Err(PinsError::Other(_))), "{refused:?}");
    }

    #[test]
    fn a_list_is_believed_once_and_no_earlier_one_after_it() {
        let key = key(1);
        let public = PublicKey::from(&key);
        let signed = Signed::by(&key, &pins(&key, 7)).unwrap();
        assert!(Pins::later(&signed, &public, 6).is_ok());
        for known in [7, 8, u64::MAX] {
            let refused = Pins::later(&signed, &public, known);
            assert!(matches!(refused, Err(PinsError::Older { .. })));
        }
    }

    #[test]
    fn a_list_of_nothing_or_of_many_is_none() {
        let key = key(1);
        for count in [0, MAX_PINS + 1] {
            let accept = vec![Fingerprint::of(b"a"); count];
            let list = Pins {
                accept,
                ..pins(&key, 1)
            };
            let signed = Signed::by(&key, &list).unwrap();
            let refused = Pins::verified(&signed, &PublicKey::from(&key));
            assert!(matches!(refused, Err(PinsError::Number(n)) if n == count));
        }
    }
}
