//! How a school network is measured.
//!
//! One module per probe; each takes a target, an interface to look out from and a deadline, and ends
//! in a report or in a [`messnetz_metric::Failure`], never in a panic or a hang. A report turns into
//! [`messnetz_metric::Reading`]s; which segment they speak about is the caller's to say. This crate
//! knows no school, no target, no database and no schedule.

pub mod address;
mod binding;
pub mod certificate;
pub mod connection;
mod datagram;
pub mod dns;
mod failure;
pub mod http;
pub mod icmp;
pub mod iperf3;
pub mod link;
pub mod ndt7;
#[cfg(test)]
mod netns;
pub mod ntp;
pub mod path;
pub mod places;
pub mod portal;
pub mod proxy;
mod random;
pub mod reach;
pub mod resolvers;
pub mod responsiveness;
mod socket;
pub mod stamp;
mod stamps;
mod statistics;
pub mod stun;
pub mod tcp;
pub mod tcp_info;
pub mod tls;
pub mod under_load;
pub mod witness;

pub use binding::Binding;
pub use datagram::Peer;
pub use stamps::Stamps;
pub use statistics::RttSummary;
