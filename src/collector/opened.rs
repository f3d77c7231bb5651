//! A collector that has been opened: its store, its keys, its schools, and what they say.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use messnetz_metric::UnixMillis;
use messnetz_probes::ndt7::server as ndt7;
use messnetz_probes::tcp_info::Congestion;
use messnetz_sites::calendar::Calendar;
use messnetz_sites::period::Cycle;
use messnetz_sites::site::{Authority, School, Site, SiteId};
use messnetz_sites::upgrade::Catalogue;

use super::assignments::Assignments;
use super::certificate::{self, Shown};
use super::config::Config;
use super::keys::{KeyDirectory, KeyError, Keys};
use super::lanes::Lanes;
use super::leases::{Leases, Tenant};
use super::quota::{Quotas, Scales};
use super::reach::Reach;
use super::receipts::ReceiptKey;
use super::retention::Retention;
use super::run::RunError;
use super::slots::Grid;
use super::token::AdminToken;
use super::turns::{Stand, Turn, schedule_for};
use super::updates::Updates;
use crate::clock;
use crate::judging::agents::{self, AgentState};
use crate::judging::pace::{self, Pace};
use crate::judging::trends::{self, Trends};
use crate::judging::visits::{self, Visited};
use crate::judging::{self, Found, Report, Row, Wanted};
use crate::store::{EnrolledAgent, Role, SqliteStore, Store, StoreError};
use crate::text::Language;
use crate::wire::{AgentId, CollectorId, Pins, Schedule, Signed, SignedSchedule};

/// The name of the store within the data directory.
pub const STORE_FILE: &str = "store.db";
/// How long a report is shown again before the samples are judged anew, in milliseconds. A page with its
/// charts is one report, and whoever reloads it costs nothing.
const REPORT_KEPT_MS: i64 = 2_000;

/// A collector that has been opened: its store, its keys, its schools.
#[derive(Debug)]
pub struct Collector {
    store: Box<dyn Store>,
    /// The last report; whoever makes the next one keeps others from making it as well.
    report: Mutex<Option<Arc<Report>>>,
    /// Schools, sites, lines and facts.
    pub authority: Authority,
    /// What can be bought.
    pub catalogue: Catalogue,
    /// Who judges what is stored needs none.
    keys: Result<Keys, Arc<KeyError>>,
    directory: KeyDirectory,
    /// Which certificates agents are to believe, once it serves.
    pins: RwLock<Option<Arc<Vouched>>>,
    /// What opens the dashboard, once it serves.
    token: RwLock<Option<AdminToken>>,
    /// Language of the dashboard.
    pub language: Language,
    /// What tickets name as its address.
    pub public: String,
    congestion: Option<Congestion>,
    /// Where each site stands in the site file, by its id: among all sites, its school among the schools, and there.
    places: HashMap<String, (usize, usize, usize)>,
    /// What of the schools' lines can be asked from here.
    pub(super) reach: BTreeMap<SiteId, Reach>,
    schedule: Schedule,
    lanes: Lanes,
    leases: Leases,
    assignments: Assignments,
    pub(super) scales: Scales,
    quotas: Mutex<Quotas>,
    pub(super) retention: Retention,
    /// Where store and releases lie.
    pub(super) data: PathBuf,
    pub(super) updates: Updates,
    updating: Mutex<()>,
}

/// A list of certificates as it is given to agents.
#[derive(Debug)]
pub(super) struct Vouched {
    /// Its number.
    pub(super) number: u64,
    /// For an acknowledgement.
    pub(super) signed: Signed<Pins>,
}

impl Collector {
    /// Opens store and keys; makes them where there are none. That the keys of a store are not to be had is told by
    /// [`Self::keys`].
    ///
    /// # Errors
    /// Where the store cannot be made, read or used.
    pub fn open(config: Config) -> Result<Self, RunError> {
        fs::create_dir_all(&config.data).map_err(|source| RunError::Directory {
            path: config.data.display().to_string(),
            source,
        })?;
        let path = config.data.join(STORE_FILE);
        let store = SqliteStore::open(&path)?;
        let grid = Grid::of(&config.schedule, config.lanes.in_a_row(&config.authority));
        let leases = Leases::open(&store, grid, clock::now())?;
        let directory = KeyDirectory::of(&config.data);
        Ok(Self {
            keys: directory.open(&store).map_err(Arc::new),
            directory,
            pins: RwLock::default(),
            token: RwLock::default(),
            store: Box::new(store),
            report: Mutex::new(None),
            places: places(&config.authority),
            authority: config.authority,
            catalogue: config.catalogue,
            language: config.language,
            public: config.public,
            congestion: config.congestion,
            reach: config.reach,
            scales: Scales::default(),
            quotas: Mutex::new(Quotas::new(config.quota)),
            retention: config.retention,
            data: config.data,
            updates: config.updates,
            updating: Mutex::default(),
            schedule: config.schedule,
            lanes: config.lanes,
            leases,
            assignments: Assignments::default(),
        })
    }

    /// What makes it the collector that agents know.
    ///
    /// # Errors
    /// Where its keys are not to be had.
    pub fn keys(&self) -> Result<&Keys, Arc<KeyError>> {
        self.keys.as_ref().map_err(Arc::clone)
    }

    /// What it acknowledges and signs with.
    ///
    /// # Errors
    /// Where its keys are not to be had.
    pub(super) fn receipts(&self) -> Result<&ReceiptKey, Arc<KeyError>> {
        Ok(&self.keys()?.receipts)
    }

    /// Its name, which is made of its key and stays when its certificate changes.
    ///
    /// # Errors
    /// Where its keys are not to be had.
    pub fn id(&self) -> Result<CollectorId, Arc<KeyError>> {
        Ok(self.receipts()?.id())
    }

    /// Which certificates agents are to believe; `None` where it does not serve.
    pub(super) fn pins(&self) -> Option<Arc<Vouched>> {
        let pins = self.pins.read().unwrap_or_else(PoisonError::into_inner);
        pins.clone()
    }

    /// Tells agents from now on which certificates to believe.
    pub(super) fn vouch(&self, (signed, pins): (Signed<Pins>, Pins)) {
        let number = pins.number;
        let vouched = Some(Arc::new(Vouched { number, signed }));
        *self.pins.write().unwrap_or_else(PoisonError::into_inner) = vouched;
    }

    /// What opens the dashboard; `None` where nothing is needed.
    pub(super) fn token(&self) -> Option<AdminToken> {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    /// Looks at what opens the dashboard from now on.
    pub(super) fn renew_token(&self) -> Result<Option<AdminToken>, StoreError> {
        let token = AdminToken::of(self.store())?;
        (*self.token.write().unwrap_or_else(PoisonError::into_inner)).clone_from(&token);
        Ok(token)
    }

    /// Goes over to the certificate and the list that another process has written; says whether there was one.
    pub(super) fn renew(&self, shown: &Shown) -> Result<bool, KeyError> {
        self.renew_token()?;
        let Some((signed, pins)) = certificate::issued(self.store())? else {
            return Ok(false);
        };
        if self.pins().is_some_and(|known| known.number == pins.number) {
            return Ok(false);
        }
        shown.show(&self.directory.open(self.store())?.certificate);
        self.vouch((signed, pins));
        Ok(true)
    }

    /// Does something with the store, off the threads that serve sockets.
    pub async fn with_store<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> T {
        let this = Arc::clone(self);
        self.off_the_sockets(move || this.with_store_now(work))
            .await
    }

    /// Does something with the store on this thread.
    pub fn with_store_now<T>(&self, work: impl FnOnce(&dyn Store) -> T) -> T {
        work(self.store())
    }

    /// The store.
    pub(super) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Held while it is decided who may have a release.
    pub(super) fn updating(&self) -> MutexGuard<'_, ()> {
        self.updating.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the agents may still send, for as long as the answer is held.
    pub(super) fn quotas(&self) -> MutexGuard<'_, Quotas> {
        // A panic in between leaves at worst an allowance that was not spent.
        self.quotas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that takes a while off the threads that serve sockets.
    pub(super) async fn off_the_sockets<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Whether the site file has this site.
    pub(super) fn knows(&self, site: &str) -> bool {
        let id: Option<SiteId> = site.parse().ok();
        id.is_some_and(|id| self.authority.site(&id).is_some())
    }

    /// What this agent measures, signed.
    ///
    /// # Errors
    /// Where the store fails.
    pub(super) fn assignment(
        &self,
        store: &dyn Store,
        key: &ReceiptKey,
        (site, agent): (&str, &AgentId),
    ) -> Result<SignedSchedule, StoreError> {
        let now = clock::now();
        let mut schedule = self.schedule_for(store, site, agent)?;
        if let Some((_, known)) = self.known(site) {
            let tenant = Tenant {
                site,
                agent,
                shares: &self.lanes.of_site(known),
                zone: &self.authority.calendar.zone,
            };
            schedule = self.leases.fill(store, tenant, schedule, now)?;
        }
        let whose = (site, agent);
        self.assignments.signed(store, key, whose, schedule, now)
    }

    /// What this agent measures: sites take turns, and so do the agents of a site. One that visits measures
    /// nothing by a schedule.
    ///
    /// # Errors
    /// Where the store fails.
    fn schedule_for(
        &self,
        store: &dyn Store,
        site: &str,
        agent: &AgentId,
    ) -> Result<Schedule, StoreError> {
        let agents = store.agents_of_site(site)?;
        let visits = |agent: EnrolledAgent| agent.role == Role::Visitor;
        if store.agent(agent)?.is_some_and(visits) {
            return Ok(Schedule {
                tasks: Vec::new(),
                ..self.schedule.clone()
            });
        }
        let agent = Turn {
            index: agents
                .iter()
                .position(|known| known == agent.as_str())
                .unwrap_or_default(),
            of: agents.len(),
        };
        let of = self.places.len();
        let stand = self.known(site).map(|(index, known)| Stand {
            site: Turn { index, of },
            endpoint: known.endpoint.as_deref(),
        });
        Ok(schedule_for(&self.schedule, stand, agent))
    }

    /// A site of the site file, with its number among all.
    fn known(&self, site: &str) -> Option<(usize, &Site)> {
        let &(number, school, place) = self.places.get(site)?;
        let school = self.authority.schools.get(school)?;
        Some((number, school.sites.get(place)?))
    }

    /// How long ndt7 tests may last, and what downloads are sent with.
    pub(super) fn test_limits(&self) -> ndt7::Limits {
        let limits = ndt7::Limits::default();
        ndt7::Limits {
            congestion: self.congestion.or(limits.congestion),
            ..limits
        }
    }

    /// What the stored samples say now, or said a moment ago.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn report(self: &Arc<Self>) -> Result<Arc<Report>, StoreError> {
        let this = Arc::clone(self);
        self.off_the_sockets(move || this.report_now()).await
    }

    /// What the stored samples say of months or of school years, computed on this thread.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn report_by(&self, cycle: Cycle) -> Result<Report, StoreError> {
        judging::judge(
            &self.authority,
            &self.catalogue,
            self.store(),
            clock::now(),
            cycle,
        )
    }

    /// What the stored samples say of one site, computed on this thread; nothing of a site that is not in the site
    /// file.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn rows_of(&self, site: &SiteId, cycle: Cycle) -> Result<Vec<Row>, StoreError> {
        let Some(of) = self.authority.site(site) else {
            return Ok(Vec::new());
        };
        judging::judge_site(&self.authority, of, self.store(), clock::now(), cycle)
    }

    /// Where the stored samples of the last months lead, computed on this thread.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn trends(&self, months: u16) -> Result<Trends, StoreError> {
        trends::trends(&self.authority, self.store(), clock::now(), months)
    }

    /// The samples that a judgement rests on.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn samples(&self, wanted: &Wanted<'_>) -> Result<Found, StoreError> {
        judging::samples(&self.authority, self.store(), wanted)
    }

    /// When the schools teach.
    #[must_use]
    pub const fn calendar(&self) -> &Calendar {
        &self.authority.calendar
    }

    /// How soon each target can be decided with the schedule.
    #[must_use]
    pub fn paces(&self) -> Vec<Pace> {
        pace::paces(&self.authority, &self.schedule, clock::now())
    }

    /// How the agents stand at this time, computed on this thread.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn agents(&self, now: UnixMillis) -> Result<Vec<AgentState>, StoreError> {
        let reachable = self.reach.keys().cloned().collect();
        agents::agents(&self.authority, self.store(), &reachable, now)
    }

    /// The visits of these times that were handed in, computed on this thread.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn visits(&self, times: &RangeInclusive<UnixMillis>) -> Result<Vec<Visited>, StoreError> {
        visits::visits(&self.authority, self.store(), times)
    }

    /// What the stored samples say now, or said a moment ago, computed on this thread.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn report_now(&self) -> Result<Arc<Report>, StoreError> {
        self.report_at(clock::now())
    }

    fn report_at(&self, now: UnixMillis) -> Result<Arc<Report>, StoreError> {
        let mut last = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes a report from the future, which is as good as none.
        let is_fresh = |report: &&Arc<Report>| {
            (0..REPORT_KEPT_MS).contains(&now.0.saturating_sub(report.made_at.0))
        };
        if let Some(report) = last.as_ref().filter(is_fresh) {
            return Ok(Arc::clone(report));
        }
        let report = judging::judge(
            &self.authority,
            &self.catalogue,
            self.store(),
            now,
            Cycle::Month,
        )?;
        Ok(Arc::clone(last.insert(Arc::new(report))))
    }
}

/// Where each site stands, in the order of [`Authority::sites`].
fn places(authority: &Authority) -> HashMap<String, (usize, usize, usize)> {
    let schools = authority.schools.iter().enumerate();
    let of_school = |(school, sites): (usize, &School)| {
        let sites = sites.sites.iter().enumerate();
        let place = move |(place, site): (usize, &Site)| (site.id.to_string(), (school, place));
        sites.map(place).collect::<Vec<_>>()
    };
    let sites = schools.flat_map(of_school).enumerate();
    let numbered = sites.map(|(number, (id, (school, place)))| (id, (number, school, place)));
    numbered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector() -> (tempfile::TempDir, Collector) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        file("authority.toml", messnetz_sites::site::EXAMPLE);
        file("collector.toml", super::super::EXAMPLE);
        let config = Config::load(&folder.path().join("collector.toml")).unwrap();
        let collector = Collector::open(config).unwrap();
        (folder, collector)
    }

    #[test]
    fn a_report_does_not_wait_for_whoever_holds_the_store() {
        let (_folder, collector) = collector();
        let report = collector.with_store_now(|_| collector.report_now());
        assert!(!report.unwrap().rows.is_empty());
    }

    #[test]
    fn the_samples_are_judged_anew_every_few_seconds_and_not_for_every_page() {
        let (_folder, collector) = collector();
        let made_at = |now| collector.report_at(UnixMillis(now)).unwrap().made_at.0;
        assert_eq!(made_at(1_000_000), 1_000_000);
        assert_eq!(made_at(1_001_999), 1_000_000);
        assert_eq!(made_at(1_002_000), 1_002_000);
        assert_eq!(made_at(900_000), 900_000, "the clock was set back");
    }

    #[test]
    fn an_agent_of_a_site_that_left_the_site_file_is_given_no_tasks() {
        let (_folder, collector) = collector();
        let agent = AgentId::of_key(&[1; 32]);
        let known = collector.authority.sites().next().unwrap().id.to_string();
        let tasks = |site: &str| {
            let schedule = collector.schedule_for(collector.store(), site, &agent);
            schedule.unwrap().tasks.len()
        };
        assert!(tasks(&known) > 0);
        assert_eq!(tasks("XX-999999/gone"), 0);
    }
}
