//! Through which proxy a command goes.

use clap::Args;
use messnetz_probes::proxy::Proxy;

use crate::way_out::WayOut;

/// Through which proxy to go.
#[derive(Debug, Args)]
pub(in crate::cli) struct Through {
    /// HTTP proxy to go through, or `none` [default: what `https_proxy`, `http_proxy` and `no_proxy` say]
    #[arg(long, value_name = "HOST:PORT")]
    proxy: Option<WayOut>,
}

impl Through {
    /// The proxy on the way to `host`. This host itself is reached through one only where one is named.
    pub(super) fn to(&self, tls: bool, host: &str) -> anyhow::Result<Option<Proxy>> {
        Ok(self.way_out().to(tls, host)?)
    }

    /// The way that was named, or the environment's.
    pub(in crate::cli) fn way_out(&self) -> WayOut {
        self.proxy.clone().unwrap_or(WayOut::Environment)
    }
}
