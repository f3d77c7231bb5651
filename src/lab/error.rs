//! What can go wrong in the lab: what was attempted on what, why it failed, what to do.

use std::fs;
use std::io;

use nix::errno::Errno;
use thiserror::Error;

/// Why a namespace, a link or a command of the lab did not come about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabError {
    /// Namespaces are refused to this user on this machine.
    #[error("cannot {attempt}: {reason}; {remedy}")]
    Refused {
        /// What was attempted.
        attempt: String,
        /// The setting or limit that refuses it.
        reason: String,
        /// What the user can do.
        remedy: String,
        /// The kernel's answer.
        source: Errno,
    },
    /// A user namespace was needed, but threads run already.
    #[error(
        "cannot create a user namespace: {threads} threads run already and the kernel moves only \
         single-threaded processes; run as root, or put `unshare --user --map-root-user` before \
         the command"
    )]
    Multithreaded {
        /// Threads at the time of the attempt.
        threads: usize,
    },
    /// A thread could not be started.
    #[error("cannot start a thread to {purpose}")]
    Thread {
        /// What the thread was for.
        purpose: String,
        /// Why not.
        source: io::Error,
    },
    /// A network namespace could not be made.
    #[error("cannot {step} for network namespace `{name}`")]
    Namespace {
        /// Name of the namespace.
        name: String,
        /// The step that failed.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A network namespace could not be entered.
    #[error("cannot enter network namespace `{name}`")]
    Enter {
        /// Name of the namespace.
        name: String,
        /// Why.
        source: Errno,
    },
    /// A kernel setting could not be written.
    #[error(
        "cannot write {value:?} to {path} in network namespace `{name}`{}",
        sysctl_hint(source)
    )]
    Sysctl {
        /// Name of the namespace.
        name: String,
        /// The file.
        path: String,
        /// What should have been written.
        value: String,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started in a namespace.
    #[error("cannot start `{program}` in network namespace `{name}`")]
    Spawn {
        /// The program.
        program: String,
        /// Name of the namespace.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A program of iproute2 is not installed.
    #[error(
        "cannot find `{tool}`: it is part of iproute2; install it (`apt-get install iproute2`)"
    )]
    ToolMissing {
        /// `ip` or `tc`.
        tool: &'static str,
    },
    /// A program of iproute2 reported an error.
    #[error("`{tool} {command}` failed in network namespace `{name}`: {stderr}")]
    Tool {
        /// `ip` or `tc`.
        tool: &'static str,
        /// The line of the batch that failed.
        command: String,
        /// Name of the namespace.
        name: String,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// A socket of the link emulator could not be set up.
    #[error("cannot {step} for the emulated end `{interface}` of link `{link}`")]
    Emulator {
        /// Name of the link.
        link: String,
        /// Interface of the emulator.
        interface: String,
        /// The step that failed.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A link was asked for that cannot exist.
    #[error("link `{link}` cannot be built: {reason}")]
    Shape {
        /// Name of the link.
        link: String,
        /// What is wrong with its figures.
        reason: String,
    },
}

fn sysctl_hint(source: &io::Error) -> &'static str {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EROFS) => {
            " (/proc/sys is mounted read-only, as in a container: mount it writable or run outside)"
        }
        Some(Errno::ENOENT) => " (this kernel does not have the setting)",
        _ => "",
    }
}

/// Names the setting that refused `attempt`, as far as it can be read off the machine.
pub(super) fn refused(attempt: &str, errno: Errno) -> LabError {
    let (reason, remedy) = explain(errno, |path| {
        fs::read_to_string(path)
            .ok()
            .map(|value| value.trim().to_owned())
    });
    LabError::Refused {
        attempt: attempt.to_owned(),
        reason,
        remedy,
        source: errno,
    }
}

fn explain(errno: Errno, setting: impl Fn(&str) -> Option<String>) -> (String, String) {
    let is = |path: &str, value: &str| setting(path).as_deref() == Some(value);
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return (
            "kernel.unprivileged_userns_clone is 0, so only root may".into(),
            "run as root, or allow it with `sysctl kernel.unprivileged_userns_clone=1`".into(),
        );
    }
    for kind in ["user", "net"] {
        let limit = format!("user.max_{kind}_namespaces");
        if is(&format!("/proc/sys/user/max_{kind}_namespaces"), "0") {
            return (
                format!("{limit} is 0"),
                format!("raise it with `sysctl {limit}=15000`"),
            );
        }
    }
    if errno == Errno::ENOSPC {
        return (
            "the limit of namespaces is reached, or they are nested too deep".into(),
            "raise user.max_user_namespaces and user.max_net_namespaces with sysctl".into(),
        );
    }
    if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        return (
            "kernel.apparmor_restrict_unprivileged_userns is 1, so AppArmor takes the rights away"
                .into(),
            "run as root, or allow it with `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
                .into(),
        );
    }
    (
        format!("the kernel answered `{}`", errno.desc()),
        "run as root; inside a container, give it CAP_SYS_ADMIN and CAP_NET_ADMIN".into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusing_setting_and_the_way_out_are_named() {
        let cases = [
            (
                "/proc/sys/kernel/unprivileged_userns_clone",
                "0",
                Errno::EPERM,
            ),
            ("/proc/sys/user/max_user_namespaces", "0", Errno::ENOSPC),
            ("/proc/sys/user/max_net_namespaces", "0", Errno::ENOSPC),
            (
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                "1",
                Errno::EPERM,
            ),
        ];
        for (path, value, errno) in cases {
            let (reason, remedy) =
                explain(errno, |asked| (asked == path).then(|| value.to_owned()));
            let name = path.rsplit('/').next().unwrap();
            assert!(reason.contains(name), "{reason}");
            assert!(
                remedy.contains("sysctl") && remedy.contains(name),
                "{remedy}"
            );
        }
    }

    #[test]
    fn an_unknown_refusal_carries_the_kernels_words() {
        let (reason, remedy) = explain(Errno::EPERM, |_| None);
        assert!(reason.contains("Operation not permitted"), "{reason}");
        assert!(remedy.contains("root"), "{remedy}");
    }
}
