//! The numbers that blocks name series by.

use std::collections::HashMap;

use super::samples::series_of;
use super::{Connected, StoreError};
use crate::wire::batch::Series;

/// What the series of an agent are numbered with.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    of_series: HashMap<Series, i64>,
    series: HashMap<i64, Series>,
}

/// The numbers of all agents at a site, each agent's read once.
#[derive(Debug)]
pub(super) struct SiteNumbers<'a> {
    store: &'a Connected,
    site: &'a str,
    of_agents: HashMap<String, Numbers>,
}

impl Numbers {
    pub(super) fn insert(&mut self, number: i64, series: Series) {
        self.of_series.insert(series.clone(), number);
        self.series.insert(number, series);
    }

    pub(super) fn series(&self, number: i64) -> Option<Series> {
        self.series.get(&number).cloned()
    }

    pub(super) fn number(&self, series: &Series) -> Option<i64> {
        self.of_series.get(series).copied()
    }
}

impl SiteNumbers<'_> {
    /// The series that a block or a roll-up of this agent names.
    ///
    /// # Errors
    /// Where the database refuses, or it names none.
    pub(super) fn series(&mut self, agent: &str, number: i64) -> Result<Series, StoreError> {
        if !self.of_agents.contains_key(agent) {
            let numbers = self.store.numbers(self.site, agent)?;
            self.of_agents.insert(agent.to_owned(), numbers);
        }
        let numbers = self.of_agents.get(agent);
        let series = numbers.and_then(|numbers| numbers.series(number));
        series.ok_or_else(|| StoreError::Damaged {
            what: "a series",
            why: format!("agent {agent} has none with the number {number}"),
        })
    }
}

impl Connected {
    /// The numbers of an agent's series at a site.
    pub(super) fn numbers(&self, site: &str, agent: &str) -> Result<Numbers, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, metric, interface, medium, peer FROM series WHERE site = ?1 AND agent = ?2",
        )?;
        let mut rows = statement.query([site, agent])?;
        let mut numbers = Numbers::default();
        while let Some(row) = rows.next()? {
            numbers.insert(row.get(0)?, series_of(row, 1)?);
        }
        Ok(numbers)
    }

    /// Those of all agents at a site.
    pub(super) fn numbers_of_site<'a>(&'a self, site: &'a str) -> SiteNumbers<'a> {
        SiteNumbers {
            store: self,
            site,
            of_agents: HashMap::new(),
        }
    }
}
