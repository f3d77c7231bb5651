//! Tests in a network namespace of their own, where loopback is all there is and sysctls can be set
//! without touching the machine.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// Runs `test` on a thread with its own network namespace, whose loopback is up. Where this process
/// may not have one (it takes root), it says so and the test is passed over.
pub(crate) fn in_own_namespace(test: impl AsyncFnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            eprintln!("passed over: no network namespace of its own: {error}");
            return;
        }
        ip("link set lo up");
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(test());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` (iproute2) with these words, in the calling thread's namespace.
pub(crate) fn ip(words: &str) {
    let status = Command::new("ip")
        .args(words.split_whitespace())
        .status()
        .unwrap();
    assert!(status.success(), "ip {words}: {status}");
}
