//! `messnetz demo`: an example authority on one machine.
//!
//! What lives here is the example: its towns, schools and lines as data. How namespaces and lines
//! come about is the matter of [`crate::lab`].

pub mod network;
