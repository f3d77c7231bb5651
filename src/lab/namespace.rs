//! Network namespaces without a name: made by a thread that ends, kept by a file descriptor.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};

use super::LabError;

/// A network namespace of the lab. Clones are the same namespace; with the last of them (and the
/// last process and socket inside) the kernel takes it down, together with its interfaces.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: Arc<str>,
    fd: Arc<OwnedFd>,
}

impl Namespace {
    pub(super) fn create(name: &str) -> Result<Self, LabError> {
        let failed = |step| {
            move |source| LabError::Namespace {
                name: name.to_owned(),
                step,
                source,
            }
        };
        let fd = in_thread(&format!("create network namespace `{name}`"), || {
            unshare(CloneFlags::CLONE_NEWNET)
                .map_err(io::Error::from)
                .map_err(failed("create the namespace"))?;
            loopback_up().map_err(failed("bring up the loopback"))?;
            File::open("/proc/thread-self/ns/net").map_err(failed("open the descriptor"))
        })??;
        Ok(Self {
            name: name.into(),
            fd: Arc::new(fd.into()),
        })
    }

    /// The name given at creation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread inside this namespace and gives back what it returns.
    ///
    /// A socket opened in `work` belongs to this namespace for its whole life, wherever it is used
    /// later: so a server of this process can listen in a namespace of the lab.
    ///
    /// # Errors
    /// [`LabError::Enter`] or [`LabError::Thread`]; `work` has not run then.
    pub fn on<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        in_thread(
            &format!("work in network namespace `{}`", self.name),
            || {
                setns(&*self.fd, CloneFlags::CLONE_NEWNET).map_err(|source| LabError::Enter {
                    name: self.name.to_string(),
                    source,
                })?;
                Ok(work())
            },
        )?
    }

    /// Writes a network setting of this namespace, such as `net/ipv4/ip_forward`.
    ///
    /// # Errors
    /// [`LabError::Sysctl`] where the kernel has no such setting or refuses the value.
    pub fn sysctl(&self, setting: &str, value: &str) -> Result<(), LabError> {
        let path = format!("/proc/sys/{setting}");
        // Settings under net/ are those of the namespace of the thread that opens the file.
        self.on(|| std::fs::write(&path, value))?
            .map_err(|source| LabError::Sysctl {
                name: self.name.to_string(),
                path: path.clone(),
                value: value.to_owned(),
                source,
            })
    }

    /// Prepares `command` so that it runs in this namespace and dies with this process.
    ///
    /// The child sees the interfaces of this namespace under `/sys/class/net` too; where the
    /// machine does not allow that (some containers) it finds `/sys` empty rather than the
    /// interfaces of the host.
    ///
    /// The kernel kills the child when the *thread* that spawned it ends. So spawn from the main
    /// thread, or from one that lives as long as the lab; not from inside [`Namespace::on`].
    #[must_use]
    pub fn command(&self, mut command: Command) -> Command {
        self.enter_on_exec(&mut command, Vec::new(), true);
        command
    }

    /// Spawns `command` as [`Namespace::command`] prepares it.
    ///
    /// # Errors
    /// [`LabError::Spawn`] with the name of the program.
    pub fn spawn(&self, command: Command) -> Result<Child, LabError> {
        let program = command.get_program().to_string_lossy().into_owned();
        self.command(command)
            .spawn()
            .map_err(|source| LabError::Spawn {
                program,
                name: self.name.to_string(),
                source,
            })
    }

    /// The descriptor's number, under which a child that inherits it finds this namespace.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// `inherited` are namespaces whose descriptors stay open in the child.
    #[allow(unsafe_code)]
    pub(super) fn enter_on_exec(
        &self,
        command: &mut Command,
        inherited: Vec<Self>,
        own_sysfs: bool,
    ) {
        let namespace = self.clone();
        let parent = getpid();
        // SAFETY: between fork and exec only system calls are made, nothing is allocated and no
        // lock is taken, so the state of other threads at the time of the fork does not matter.
        unsafe {
            command.pre_exec(move || {
                die_with(parent)?;
                setns(&*namespace.fd, CloneFlags::CLONE_NEWNET)?;
                for other in &inherited {
                    inherit(&other.fd)?;
                }
                if own_sysfs {
                    show_own_interfaces()?;
                }
                Ok(())
            });
        }
    }
}

/// Runs `work` on a thread of its own: entering a namespace is for a thread's whole life.
fn in_thread<T: Send>(purpose: &str, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
    thread::scope(|scope| {
        let handle = thread::Builder::new()
            .name("lab-namespace".into())
            .spawn_scoped(scope, work)
            .map_err(|source| LabError::Thread {
                purpose: purpose.to_owned(),
                source,
            })?;
        match handle.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Has the kernel kill the calling process when its parent ends.
fn die_with(parent: Pid) -> Result<(), Errno> {
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the line above took hold.
    if getppid() == parent {
        Ok(())
    } else {
        Err(Errno::ESRCH)
    }
}

fn inherit(fd: &OwnedFd) -> Result<(), Errno> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

/// Mounts, in a mount namespace of this process alone, a `/sys` that shows its own interfaces: the
/// inherited one shows those of the namespace it was mounted in.
#[allow(unsafe_code)]
fn show_own_interfaces() -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let mount = |source: *const libc::c_char, target: &std::ffi::CStr, kind, flags| {
        // SAFETY: all pointers are null or to NUL-terminated strings that outlive the call; the
        // kernel allows null for source, type and data.
        let result = unsafe { libc::mount(source, target.as_ptr(), kind, flags, std::ptr::null()) };
        Errno::result(result).map(drop)
    };
    let null = std::ptr::null();
    mount(null, c"/", null, libc::MS_REC | libc::MS_SLAVE)?;
    let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(c"sysfs".as_ptr(), c"/sys", c"sysfs".as_ptr(), flags)
        .or_else(|_| mount(c"none".as_ptr(), c"/sys", c"tmpfs".as_ptr(), flags))
}

/// Brings up `lo` in the namespace of the calling thread.
#[allow(unsafe_code)]
fn loopback_up() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let socket: BorrowedFd<'_> = std::os::fd::AsFd::as_fd(&socket);
    // SAFETY: `ifreq` is plain data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is open and SIOCSIFFLAGS reads one `ifreq`, which `request` is.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}
