//! The slots that were leased for tests.

use messnetz_metric::UnixMillis;
use rusqlite::params;

use super::{Connected, StoreError};
use crate::wire::AgentId;

/// A slot that was leased for one test of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Where.
    pub site: String,
    /// For whom.
    pub agent: AgentId,
    /// For which test, as the collector names it.
    pub task: String,
    /// When it begins.
    pub at: UnixMillis,
    /// When it is over.
    pub until: UnixMillis,
    /// What the test takes of which lanes, as the collector writes it.
    pub lanes: String,
    /// What tells it from every other.
    pub token: String,
}

impl Connected {
    /// Keeps leases, all or none.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn keep_leases(&mut self, leases: &[Lease]) -> Result<(), StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for lease in leases {
            transaction
                .prepare_cached(
                    "INSERT INTO slot (site, agent, at, until, task, lanes, token)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    lease.site,
                    lease.agent.as_str(),
                    lease.at.0,
                    lease.until.0,
                    lease.task,
                    lease.lanes,
                    lease.token
                ])?;
        }
        Ok(transaction.commit()?)
    }

    /// The leases that are not over at this time, by site and agent.
    ///
    /// # Errors
    /// Where the database refuses or a name in it is damaged.
    pub(super) fn leases(&self, now: UnixMillis) -> Result<Vec<Lease>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT site, agent, at, until, task, lanes, token FROM slot
             WHERE until > ?1 ORDER BY site, agent, at",
        )?;
        let rows = statement.query_map([now.0], |row| {
            let agent: String = row.get(1)?;
            let lease = |agent| {
                Ok::<_, rusqlite::Error>(Lease {
                    site: row.get(0)?,
                    agent,
                    at: UnixMillis(row.get(2)?),
                    until: UnixMillis(row.get(3)?),
                    task: row.get(4)?,
                    lanes: row.get(5)?,
                    token: row.get(6)?,
                })
            };
            Ok(AgentId::try_from(agent).map(lease))
        })?;
        rows.map(|row| {
            let lease = row?.map_err(|why| StoreError::Damaged {
                what: "an agent's name",
                why,
            })?;
            Ok(lease?)
        })
        .collect()
    }

    /// Forgets the leases that were over before this time.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn forget_leases(&self, before: UnixMillis) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM slot WHERE until < ?1", [before.0])?;
        Ok(())
    }
}
