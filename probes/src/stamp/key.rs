//! The key that the two ends of an authenticated session share (RFC 8762, section 4.4).

use std::fmt;

use ring::hmac;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// Octets of the truncated HMAC-SHA-256 (RFC 8762, section 4.4: HMAC-SHA-256-128).
pub(super) const TAG: usize = 16;

/// Fewest and most octets of a shared key: less can be guessed, more is not a key but another file.
const OCTETS: std::ops::RangeInclusive<usize> = 16..=1024;

/// A key that sender and reflector share. Whoever has it can forge either side.
#[derive(Clone)]
pub struct Key(hmac::Key);

/// A key has too few octets, or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key of {0} octets: it has to have {min} to {max}", min = OCTETS.start(), max = OCTETS.end())]
pub struct KeyLength(usize);

impl Key {
    /// The key of these octets.
    ///
    /// # Errors
    /// [`KeyLength`] where there are fewer than 16, or more than 1024.
    pub fn new(octets: &[u8]) -> Result<Self, KeyLength> {
        if !OCTETS.contains(&octets.len()) {
            return Err(KeyLength(octets.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, octets)))
    }

    pub(super) fn seal(&self, text: &[u8]) -> [u8; TAG] {
        let whole = hmac::sign(&self.0, text);
        let mut tag = [0; TAG];
        tag.iter_mut()
            .zip(whole.as_ref())
            .for_each(|(octet, value)| *octet = *value);
        tag
    }

    /// Whether the tag is this key's. How long it takes does not tell how much of the tag was right.
    pub(super) fn has_sealed(&self, text: &[u8], tag: &[u8; TAG]) -> bool {
        self.seal(text).ct_eq(tag).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, section 4.3: the first half of the HMAC-SHA-256 of its second case, with the key made long
    /// enough by the zeros that HMAC itself fills a short key with (RFC 2104, section 2).
    #[test]
    fn the_tag_is_the_first_half_of_hmac_sha_256() {
        let mut key = *b"Jefe\0\0\0\0\0\0\0\0\0\0\0\0";
        let tag = Key::new(&key)
            .unwrap()
            .seal(b"what do ya want for nothing?");
        assert_eq!(
            tag,
            [
                0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95,
                0x75, 0xc7
            ]
        );
        key[0] ^= 1;
        let other = Key::new(&key).unwrap();
        assert!(!other.has_sealed(b"what do ya want for nothing?", &tag));
    }

    #[test]
    fn a_short_key_is_none_and_a_key_is_not_printed() {
        assert_eq!(Key::new(&[7; 15]).unwrap_err(), KeyLength(15));
        let message = KeyLength(15).to_string();
        assert_eq!(message, "a key of 15 octets: it has to have 16 to 1024");
        assert_eq!(format!("{:?}", Key::new(&[65; 16]).unwrap()), "Key(…)");
    }
}
