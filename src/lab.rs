//! A laboratory of Linux network namespaces on one machine: hosts, routers and lines whose rate,
//! delay, jitter and loss are known exactly.
//!
//! `messnetz demo` and every whole-program test build their networks here. What lives here knows
//! namespaces ([`Namespace`]), interfaces and routes (iproute2 in batches) and emulated lines
//! ([`Link`]); it knows no school, no probe and no async runtime. Nothing it makes has a name in the
//! file system: namespaces are kept by file descriptors only, so whatever ends the process, even
//! SIGKILL, ends the lab.

mod emulator;
mod error;
mod iproute;
mod link;
mod namespace;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

pub use emulator::{Counters, Direction};
pub use error::LabError;
pub use link::{Link, LinkSpec, Shape};
pub use namespace::Namespace;

/// The permission to make network namespaces, once it is clear that this process has it.
#[derive(Debug)]
pub struct Lab(());

impl Lab {
    /// Makes sure that this process may create network namespaces.
    ///
    /// Who may already (root) stays as he is; anyone else becomes root of a user namespace of his
    /// own. The process stays in the network namespace of its host either way: what it listens on
    /// is reached from the host, as the dashboard of the demo must be.
    ///
    /// The kernel moves only single-threaded processes into a user namespace, so call this before
    /// the first thread (an async runtime, a test harness) starts.
    ///
    /// # Errors
    /// [`LabError::Refused`] with the setting that refuses and what to do, and
    /// [`LabError::Multithreaded`] where a user namespace is needed but threads run already.
    pub fn enter() -> Result<Self, LabError> {
        match try_network_namespace()? {
            Ok(()) => return Ok(Self(())),
            Err(Errno::EPERM) => {}
            Err(errno) => return Err(error::refused("create a network namespace", errno)),
        }
        enter_user_namespace()?;
        match try_network_namespace()? {
            Ok(()) => Ok(Self(())),
            Err(errno) => Err(error::refused(
                "create a network namespace inside a user namespace",
                errno,
            )),
        }
    }

    /// Makes an empty network namespace whose loopback is up; `name` appears in messages only.
    ///
    /// # Errors
    /// [`LabError::Namespace`] where the kernel refuses.
    pub fn namespace(&self, name: &str) -> Result<Namespace, LabError> {
        Namespace::create(name)
    }
}

/// Whether this kernel speaks IPv6 at all.
#[must_use]
pub fn has_ipv6() -> bool {
    std::path::Path::new("/proc/sys/net/ipv6").exists()
}

/// Tries in a thread that ends at once, because a network namespace belongs to a thread.
fn try_network_namespace() -> Result<Result<(), Errno>, LabError> {
    let attempt = std::thread::Builder::new()
        .name("lab-probe".into())
        .spawn(|| unshare(CloneFlags::CLONE_NEWNET))
        .map_err(|source| LabError::Thread {
            purpose: "try whether network namespaces are allowed".into(),
            source,
        })?
        .join();
    Ok(attempt.unwrap_or(Err(Errno::EIO)))
}

fn enter_user_namespace() -> Result<(), LabError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(LabError::Multithreaded { threads });
    }
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| error::refused("create a user namespace", errno))?;
    // The kernel takes a group map from an ordinary user only after setgroups(2) is given up.
    for (file, content) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        std::fs::write(file, content).map_err(|source| {
            let errno = source.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            error::refused(&format!("write {file} of a new user namespace"), errno)
        })?;
    }
    Ok(())
}
