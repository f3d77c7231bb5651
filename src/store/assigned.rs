//! What each agent was told to measure last.

use rusqlite::{OptionalExtension as _, params};

use super::{Connected, StoreError};
use crate::wire::AgentId;

impl Connected {
    /// The document that an agent was given last for a site.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn schedule(
        &self,
        site: &str,
        agent: &AgentId,
    ) -> Result<Option<String>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT document FROM schedule WHERE site = ?1 AND agent = ?2")?;
        let found = statement.query_row([site, agent.as_str()], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Keeps the document that an agent is given for a site, in the place of the one before.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn keep_schedule(
        &self,
        site: &str,
        agent: &AgentId,
        document: &str,
    ) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT INTO schedule (site, agent, document) VALUES (?1, ?2, ?3)
             ON CONFLICT (site, agent) DO UPDATE SET document = excluded.document",
            params![site, agent.as_str(), document],
        )?;
        Ok(())
    }
}
