//! The admin token: opens the dashboard and its API. Only its hash is kept.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::store::{Store, StoreError};

const SETTING: &str = "admin-token-sha256";

/// What the store keeps of the token: SHA-256 is enough for 256 random bits.
#[derive(Clone, Debug)]
pub struct AdminToken {
    hash: Vec<u8>,
}

/// A token could not be made.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The operating system gave no random numbers.
    #[error("making a token: the operating system gave no random numbers")]
    NoRandom,
    /// The store failed.
    #[error("keeping the token's hash")]
    Store(#[from] StoreError),
}

impl AdminToken {
    /// Makes a new token, keeps its hash in place of any earlier one, and gives the token itself, which
    /// is not kept.
    ///
    /// # Errors
    /// Where there are no random numbers or the store fails.
    pub fn renew(store: &dyn Store) -> Result<String, TokenError> {
        let mut bytes = [0_u8; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| TokenError::NoRandom)?;
        let token = URL_SAFE_NO_PAD.encode(bytes);
        store.set_setting(SETTING, hash(&token).as_ref())?;
        Ok(token)
    }

    /// The token that was set, if one was.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn of(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        Ok(store.setting(SETTING)?.map(|hash| Self { hash }))
    }

    /// Whether an `Authorization` header shows this token: `Bearer TOKEN` for programs, or `Basic` with
    /// the token as password and any user name, which is what a browser can ask for (RFC 7617).
    #[must_use]
    pub fn is_shown_by(&self, authorization: &str) -> bool {
        let Some((scheme, credentials)) = authorization.split_once(' ') else {
            return false;
        };
        let token = if scheme.eq_ignore_ascii_case("bearer") {
            credentials.trim().to_owned()
        } else if scheme.eq_ignore_ascii_case("basic") {
            let decoded = STANDARD.decode(credentials.trim()).unwrap_or_default();
            let decoded = String::from_utf8(decoded).unwrap_or_default();
            decoded
                .split_once(':')
                .map(|(_, password)| password.to_owned())
                .unwrap_or_default()
        } else {
            return false;
        };
        // The comparison takes the same time however much of the token is right.
        hash(&token).as_ref().ct_eq(&self.hash).into()
    }
}

fn hash(token: &str) -> digest::Digest {
    digest::digest(&digest::SHA256, token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    #[test]
    fn the_token_opens_as_bearer_and_as_password_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        assert!(AdminToken::of(&store).unwrap().is_none());
        let text = AdminToken::renew(&store).unwrap();
        let token = AdminToken::of(&store).unwrap().unwrap();
        assert!(token.is_shown_by(&format!("Bearer {text}")));
        assert!(token.is_shown_by(&format!(
            "Basic {}",
            STANDARD.encode(format!("admin:{text}"))
        )));
        for wrong in [
            "", "Bearer", "Bearer ", "Basic ", "Basic !!", "Bearer x", "Digest x",
        ] {
            assert!(!token.is_shown_by(wrong), "{wrong}");
        }
        AdminToken::renew(&store).unwrap();
        let renewed = AdminToken::of(&store).unwrap().unwrap();
        assert!(!renewed.is_shown_by(&format!("Bearer {text}")));
    }
}
