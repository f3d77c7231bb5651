//! Tests that measure must not share the machine's cores with each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

static MACHINE: Mutex<()> = Mutex::new(());

/// Waits until no other test that measures runs in this binary; hold the guard for the whole test.
pub(crate) fn quiet() -> MutexGuard<'static, ()> {
    // A test that failed while measuring says nothing about the next.
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
