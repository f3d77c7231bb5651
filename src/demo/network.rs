//! The network of the example town: a town hall, schools, and the lines between them.
//!
//! [`Network`] is the file, checked; [`Town`] is what stands after it has been built:
//!
//! ```text
//! server ── hall ══ line ══ router ── LAN ┬─ agent
//!                                          └─ hosts
//! ```
//!
//! Every box is a namespace of its own. Server and agent sit behind routers, because a sender whose
//! own interface is shaped is held back instead of suffering the line's drops.
//!
//! Addresses: the server is 10.0.0.2; the n-th school has 10.n.0.0/24 with its router at .1, its
//! agent at .10 and its hosts from .21 on; the same under `fd00:6d65:7373::/48`, where the kernel
//! speaks IPv6.

mod file;
mod town;

pub use file::{Network, NetworkError, School};
pub use town::{Server, Town, TownSchool};
