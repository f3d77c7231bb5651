//! `messnetz demo`: an example authority on one machine, and the main job done on it.
//!
//! What lives here is the example: its town, schools and lines as data, and the order in which a user
//! would start things. How namespaces and lines come about is the matter of [`crate::lab`].

pub mod network;
mod page;
mod run;

pub use run::{AUTHORITY, Demo, DemoError, Options, Progress};
