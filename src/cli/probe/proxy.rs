//! Through which proxy a probe goes.

use anyhow::anyhow;
use clap::Args;
use messnetz_probes::proxy::{self, Proxy};

/// Through which proxy to go.
#[derive(Debug, Args)]
pub(super) struct Through {
    /// HTTP proxy to go through, or `none` [default: what `https_proxy`, `http_proxy` and `no_proxy` say]
    #[arg(long, value_name = "HOST:PORT", value_parser = named)]
    proxy: Option<Named>,
}

#[derive(Clone, Debug)]
enum Named {
    None,
    This(Proxy),
}

fn named(text: &str) -> Result<Named, proxy::InvalidProxy> {
    if text == "none" {
        return Ok(Named::None);
    }
    text.parse().map(Named::This)
}

impl Through {
    /// The proxy on the way to `host`. This host itself is reached through one only where one is named.
    pub(super) fn to(&self, tls: bool, host: &str) -> anyhow::Result<Option<Proxy>> {
        match &self.proxy {
            Some(Named::None) => Ok(None),
            Some(Named::This(proxy)) => Ok(Some(proxy.clone())),
            None => proxy::choose(|name| std::env::var(name).ok(), tls, host)
                .map_err(|(name, error)| anyhow!("the variable {name}: {error}")),
        }
    }
}
