//! Through which proxy a command goes.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use messnetz_probes::proxy::{InvalidProxy, Proxy};

use crate::way_out::WayOut;

/// Through which proxy to go.
#[derive(Debug, Args)]
pub(in crate::cli) struct Through {
    /// HTTP proxy to go through, or `none` [default: what `https_proxy`, `http_proxy` and `no_proxy` say]
    #[arg(long, value_name = "HOST:PORT")]
    proxy: Option<Named>,
}

/// A way with the words that named it: written down anywhere else, a proxy's user and password are left out.
#[derive(Clone)]
struct Named {
    said: String,
    way_out: WayOut,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.way_out.fmt(f)
    }
}

impl FromStr for Named {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        Ok(Self {
            said: text.to_owned(),
            way_out: text.parse()?,
        })
    }
}

impl Through {
    /// The proxy on the way to `host`. This host itself is reached through one only where one is named.
    pub(super) fn to(&self, tls: bool, host: &str) -> anyhow::Result<Option<Proxy>> {
        Ok(self.way_out().to(tls, host)?)
    }

    /// The way that was named, in the words that named it.
    pub(in crate::cli) fn said(&self) -> Option<&str> {
        self.proxy.as_ref().map(|named| named.said.as_str())
    }

    /// The way that was named, or the environment's.
    pub(in crate::cli) fn way_out(&self) -> WayOut {
        self.proxy
            .as_ref()
            .map_or(WayOut::Environment, |named| named.way_out.clone())
    }
}
