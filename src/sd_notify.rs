//! Telling the service manager that this program has begun and still turns (`sd_notify(3)`): datagrams to the
//! socket that it names. Where it names none, nothing is told.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Tells the service manager, where there is one.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that this program turns.
    every: Option<Duration>,
}

impl Notifier {
    /// The service manager that the environment names.
    pub(crate) fn from_environment() -> Self {
        let microseconds = std::env::var("WATCHDOG_USEC").ok();
        Self::new(
            std::env::var_os("NOTIFY_SOCKET").as_deref(),
            microseconds.as_deref(),
        )
    }

    fn new(socket: Option<&OsStr>, watchdog_usec: Option<&str>) -> Self {
        let socket = socket.and_then(address).and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // A service manager that does not read must not hold this program up.
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        let microseconds = watchdog_usec.and_then(|text| text.parse().ok());
        let every = microseconds.filter(|&usec: &u64| usec > 0);
        Self {
            // Twice in its time, as sd_watchdog_enabled(3) advises.
            every: every.map(|usec| Duration::from_micros(usec / 2).max(Duration::from_millis(1))),
            socket,
        }
    }

    /// That this program has begun its work.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// Tells for ever that whatever polls this still turns; rests for ever where nobody wants to know.
    pub(crate) async fn keep_telling(&self) {
        let Some(every) = self.every.filter(|_| self.socket.is_some()) else {
            return std::future::pending().await;
        };
        loop {
            self.tell("WATCHDOG=1");
            tokio::time::sleep(every).await;
        }
    }

    fn tell(&self, state: &str) {
        let Some((socket, address)) = &self.socket else {
            return;
        };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::warn!(%error, state, "the service manager could not be told");
        }
    }
}

/// The address of a socket, which begins with `@` where it is an abstract one.
fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
        [b'/', ..] => SocketAddr::from_pathname(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test]
    async fn the_service_manager_hears_of_the_beginning_and_then_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::new(Some(path.as_os_str()), Some("2000"));
        notifier.ready();
        assert_eq!(heard(&manager), "READY=1");
        let short = Duration::from_millis(500);
        let told = tokio::time::timeout(short, notifier.keep_telling()).await;
        assert!(told.is_err(), "it is told for ever");
        assert_eq!(heard(&manager), "WATCHDOG=1");
        assert_eq!(heard(&manager), "WATCHDOG=1");
    }

    #[tokio::test]
    async fn a_socket_without_a_name_in_the_file_system_is_told_too() {
        let name = format!("messnetz-test-{}", std::process::id());
        let bound = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&bound).unwrap();
        Notifier::new(Some(OsStr::new(&format!("@{name}"))), None).ready();
        assert_eq!(heard(&manager), "READY=1");
    }

    #[tokio::test]
    async fn without_a_service_manager_nothing_is_told_and_nothing_fails() {
        for socket in [None, Some("nowhere"), Some(""), Some("/nowhere/at/all")] {
            let notifier = Notifier::new(socket.map(OsStr::new), None);
            notifier.ready();
            let told = tokio::time::timeout(Duration::from_millis(5), notifier.keep_telling());
            assert!(told.await.is_err(), "{socket:?}");
        }
    }
}
