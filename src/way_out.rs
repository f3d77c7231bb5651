//! How this program leaves the network: straight, or through an HTTP proxy.

use std::str::FromStr;

use messnetz_metric::{Failure, FailureReason};
use messnetz_probes::proxy::{self, InvalidProxy, Proxy};
use thiserror::Error;

/// Through which proxy to go.
#[derive(Clone, Debug, Default)]
pub enum WayOut {
    /// Through none.
    #[default]
    Straight,
    /// As `https_proxy`, `http_proxy` and `no_proxy` say.
    Environment,
    /// Through this one, wherever it leads.
    Through(Proxy),
}

/// A variable of the environment that counts is no address of a proxy.
#[derive(Debug, Error)]
#[error("the variable {name}: {error}")]
pub struct WrongVariable {
    name: &'static str,
    error: InvalidProxy,
}

impl From<WrongVariable> for Failure {
    fn from(wrong: WrongVariable) -> Self {
        Self::new(FailureReason::Protocol, wrong)
    }
}

impl FromStr for WayOut {
    type Err = InvalidProxy;

    /// Reads the address of a proxy, or `none`.
    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        if text == "none" {
            return Ok(Self::Straight);
        }
        text.parse().map(Self::Through)
    }
}

impl WayOut {
    /// The proxy on the way to `host`. This host itself is reached through one only where one is named.
    ///
    /// # Errors
    /// Where a variable of the environment that counts is no address of a proxy.
    pub fn to(&self, tls: bool, host: &str) -> Result<Option<Proxy>, WrongVariable> {
        match self {
            Self::Straight => Ok(None),
            Self::Through(proxy) => Ok(Some(proxy.clone())),
            Self::Environment => proxy::choose(|name| std::env::var(name).ok(), tls, host)
                .map_err(|(name, error)| WrongVariable { name, error }),
        }
    }
}
