//! The collector at work: listeners on one side, the store on the other.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use messnetz_probes::ndt7::server as ndt7;
use messnetz_probes::stamp;
use messnetz_probes::tcp_info::Congestion;
use messnetz_sites::site::Authority;
use messnetz_sites::upgrade::Catalogue;
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::certificate::{Certificate, CertificateError};
use super::config::Config;
use super::token::AdminToken;
use super::turns::schedule_for;
use super::{dashboard, door};
use crate::clock;
use crate::judging::{self, Report};
use crate::store::{Store, StoreError};
use crate::text::Language;
use crate::wire::Schedule;

const STORE_FILE: &str = "store.db";

/// A collector that has been opened: its store, its certificate, its schools.
#[derive(Debug)]
pub struct Collector {
    store: Mutex<Store>,
    /// Schools, sites, lines and facts.
    pub authority: Authority,
    /// What can be bought.
    pub catalogue: Catalogue,
    /// What agents know it by.
    pub certificate: Certificate,
    /// Language of the dashboard.
    pub language: Language,
    /// What tickets name as its address.
    pub public: String,
    congestion: Option<Congestion>,
    schedule: Schedule,
}

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
    /// Its certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
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
        let dashboard = match dashboard {
            Some(inherited) => inherited
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(inherited)),
            None => TcpListener::bind(config.dashboard).await,
        };
        Ok(Self {
            agents: TcpListener::bind(agents)
                .await
                .map_err(error("agents", agents))?,
            reflector: UdpSocket::bind(agents)
                .await
                .map_err(error("STAMP packets", agents))?,
            dashboard: dashboard.map_err(error("the dashboard", config.dashboard))?,
        })
    }
}

impl Collector {
    /// Opens store and certificate; makes them where there are none.
    ///
    /// # Errors
    /// Where they cannot be made, read or used.
    pub fn open(config: Config) -> Result<Self, RunError> {
        fs::create_dir_all(&config.data).map_err(|source| RunError::Directory {
            path: config.data.display().to_string(),
            source,
        })?;
        Ok(Self {
            store: Mutex::new(Store::open(&config.data.join(STORE_FILE))?),
            certificate: Certificate::load_or_make(&config.data)?,
            authority: config.authority,
            catalogue: config.catalogue,
            language: config.language,
            public: config.public,
            congestion: config.congestion,
            schedule: config.schedule,
        })
    }

    /// Does something with the store, off the threads that serve sockets.
    pub async fn with_store<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> T {
        let this = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || this.with_store_now(work));
        match work.await {
            Ok(result) => result,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Does something with the store on this thread.
    pub fn with_store_now<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        // Every change is a transaction: a panic in between leaves the store whole.
        work(&mut self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What an agent of this site measures: sites take turns.
    #[must_use]
    pub fn schedule_for(&self, site: &str) -> Schedule {
        let turn = self
            .authority
            .sites()
            .position(|known| known.id.to_string() == site);
        schedule_for(
            &self.schedule,
            turn.unwrap_or_default(),
            self.authority.sites().count(),
        )
    }

    /// How long ndt7 tests may last, and what downloads are sent with.
    pub(super) fn test_limits(&self) -> ndt7::Limits {
        let limits = ndt7::Limits::default();
        ndt7::Limits {
            congestion: self.congestion.or(limits.congestion),
            ..limits
        }
    }

    /// What the stored samples say now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn report(self: &Arc<Self>) -> Result<Report, StoreError> {
        let this = Arc::clone(self);
        self.with_store(move |store| this.judge(store)).await
    }

    /// What the stored samples say now, computed on this thread.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn report_now(&self) -> Result<Report, StoreError> {
        self.with_store_now(|store| self.judge(store))
    }

    fn judge(&self, store: &Store) -> Result<Report, StoreError> {
        judging::judge(&self.authority, &self.catalogue, store, clock::now())
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
    let token = collector.with_store_now(|store| AdminToken::of(store))?;
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
    let tls = TlsAcceptor::from(Arc::clone(&collector.certificate.server));
    let scheme = if dashboard_address.ip().is_loopback() {
        "http"
    } else {
        "https"
    };
    tracing::info!(
        agents = ?local(&listeners.agents).ok(),
        dashboard = %format_args!("{scheme}://{dashboard_address}/"),
        fingerprint = %collector.certificate.fingerprint,
        "the collector serves"
    );
    let dashboard_tls = (!dashboard_address.ip().is_loopback()).then(|| tls.clone());
    tokio::select! {
        () = door::serve(listeners.agents, tls, Arc::clone(&collector)) => {}
        () = dashboard::serve(listeners.dashboard, dashboard_tls, token, Arc::clone(&collector)) => {}
        ended = stamp::reflect(listeners.reflector, stamp::Limits::default()) => {
            let Err(failure) = ended;
            tracing::error!(%failure, "the STAMP reflector ended");
        }
        () = stop => {}
    }
    tracing::info!("the collector stops");
    Ok(())
}
