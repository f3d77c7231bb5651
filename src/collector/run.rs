//! The collector at work: listeners on one side, the store on the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use messnetz_probes::stamp;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::certificate::{self, Shown};
use super::config::Config;
use super::keys::KeyError;
use super::leases::LeaseError;
use super::opened::Collector;
use super::{dashboard, door, reach, retention};
use crate::clock;
use crate::sd_notify::Notifier;
use crate::store::{Extent, StoreError};

/// How many connections wait in the kernel for their turn, as far as it lets so many (`net.core.somaxconn`): whoever
/// finds no room tries again after seconds that double, and gives up after half a minute.
const WAITING: u32 = 4_096;

/// How often is looked for batches to seal.
const SEAL_EVERY: Duration = Duration::from_secs(30);

/// How often is looked for what another process has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The sockets that a collector serves on.
#[derive(Debug)]
pub struct Listeners {
    /// Agents: enrolment, batches, ndt7.
    pub agents: TcpListener,
    /// Agents: STAMP.
    pub reflector: UdpSocket,
    /// Dashboard and API.
    pub dashboard: TcpListener,
}

/// The collector cannot work.
#[derive(Debug, Error)]
pub enum RunError {
    /// Its directory.
    #[error("making the data directory {path}")]
    Directory {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] Arc<KeyError>),
    /// The slots of tests.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// An address.
    #[error("listening for {what} on {address}{}", hint(.source))]
    Listen {
        /// For whom.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The dashboard would be open to everybody.
    #[error(
        "the dashboard may listen on {address} only after an admin token was set: run `messnetz collector token`, or let it listen on 127.0.0.1"
    )]
    OpenDashboard {
        /// Where.
        address: SocketAddr,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another program listens there, perhaps a second collector; stop it or choose another port in collector.toml"
        }
        io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one in collector.toml"
        }
        _ => "",
    }
}

impl Listeners {
    /// Listens where the configuration says; the dashboard on `dashboard` where that socket is given.
    ///
    /// # Errors
    /// Where an address is taken or not to be had.
    pub async fn bind(
        config: &Config,
        dashboard: Option<std::net::TcpListener>,
    ) -> Result<Self, RunError> {
        let error = |what, address| {
            move |source| RunError::Listen {
                what,
                address,
                source,
            }
        };
        let agents = config.agents;
        let listen = || {
            let socket = match agents {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            }?;
            socket.set_reuseaddr(true)?;
            socket.bind(agents)?;
            socket.listen(WAITING)
        };
        let dashboard = match dashboard {
            Some(inherited) => inherited
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(inherited)),
            None => TcpListener::bind(config.dashboard).await,
        };
        Ok(Self {
            agents: listen().map_err(error("agents", agents))?,
            reflector: UdpSocket::bind(agents)
                .await
                .map_err(error("STAMP packets", agents))?,
            dashboard: dashboard.map_err(error("the dashboard", config.dashboard))?,
        })
    }
}

/// Serves agents and readers until `stop` resolves.
///
/// # Errors
/// Where the dashboard would be open to everybody, or the store fails at the start.
pub async fn run(
    collector: Arc<Collector>,
    listeners: Listeners,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let keys = collector.keys()?;
    let token = collector.renew_token()?;
    let local = |listener: &TcpListener| listener.local_addr();
    let dashboard_address = local(&listeners.dashboard).map_err(|source| RunError::Listen {
        what: "the dashboard",
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        source,
    })?;
    if token.is_none() && !dashboard_address.ip().is_loopback() {
        return Err(RunError::OpenDashboard {
            address: dashboard_address,
        });
    }
    collector.vouch(certificate::issue(collector.store(), keys, clock::now())?);
    let shown = Shown::new(&keys.certificate);
    let tls = TlsAcceptor::from(shown.serve(&keys.certificate.server));
    let for_agents = TlsAcceptor::from(shown.serve(&keys.certificate.http2_server()));
    let scheme = if dashboard_address.ip().is_loopback() {
        "http"
    } else {
        "https"
    };
    tracing::info!(
        agents = ?local(&listeners.agents).ok(),
        dashboard = %format_args!("{scheme}://{dashboard_address}/"),
        fingerprint = %keys.certificate.fingerprint,
        id = %keys.receipts.id(),
        "the collector serves"
    );
    let service_manager = Notifier::from_environment();
    service_manager.ready();
    let dashboard_tls = (!dashboard_address.ip().is_loopback()).then(|| tls.clone());
    tokio::select! {
        () = service_manager.keep_telling() => {}
        () = door::serve(listeners.agents, for_agents, Arc::clone(&collector)) => {}
        () = reach::watch(Arc::clone(&collector)) => {}
        () = dashboard::serve(listeners.dashboard, dashboard_tls, Arc::clone(&collector)) => {}
        ended = stamp::reflect(listeners.reflector, stamp::Limits::default(), None, |_| true) => {
            let Err(failure) = ended;
            tracing::error!(%failure, "the STAMP reflector ended");
        }
        () = seal(Arc::clone(&collector)) => {}
        () = retention::keep_to_it(Arc::clone(&collector)) => {}
        () = follow(Arc::clone(&collector), shown) => {}
        () = stop => {}
    }
    tracing::info!("the collector stops");
    Ok(())
}

/// Goes over to what `messnetz collector certificate` and `token` have written, soon after it was.
async fn follow(collector: Arc<Collector>, shown: Arc<Shown>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (this, shown) = (Arc::clone(&collector), Arc::clone(&shown));
        match collector.off_the_sockets(move || this.renew(&shown)).await {
            Ok(false) => {}
            Ok(true) => tracing::info!("the certificates that agents are told of are others now"),
            Err(error) => tracing::error!(
                error = &error as &(dyn std::error::Error + 'static),
                "the certificate could not be exchanged, and stays"
            ),
        }
    }
}

/// Seals what is enough or old, again and again.
async fn seal(collector: Arc<Collector>) {
    loop {
        tokio::time::sleep(SEAL_EVERY).await;
        let sealed = collector.with_store(|store| store.compact(clock::now(), Extent::Due));
        match sealed.await {
            Ok(done) if done.segments > 0 => tracing::debug!(?done, "batches were sealed"),
            Ok(_) => {}
            Err(error) => tracing::error!(
                error = &error as &(dyn std::error::Error + 'static),
                "batches could not be sealed, and stay as they are"
            ),
        }
    }
}
