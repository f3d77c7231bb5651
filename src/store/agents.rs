//! Agents: how they come in by a ticket, and what an operator makes of them.

use std::time::Duration;

use messnetz_metric::UnixMillis;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use thiserror::Error;

use super::{Connected, StoreError};
use crate::wire::{AgentId, Standing, TicketSecret};

/// Why a ticket opened nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TicketRefused {
    /// There is no such ticket for this site.
    #[error("there is no such ticket for this site; ask for one with `messnetz collector ticket`")]
    Unknown,
    /// It was used before.
    #[error("this ticket was used already; ask for a new one")]
    Used,
    /// Its time is over.
    #[error("this ticket has expired; ask for a new one")]
    Expired,
    /// The agent measures somewhere else, and a ticket moves nobody.
    #[error(
        "this agent is enrolled for another site: an operator moves it there with `messnetz collector move`"
    )]
    Elsewhere,
    /// The agent measures, and the ticket is for visits, or the other way round.
    #[error(
        "this agent is enrolled for something else: a laptop for visits and a box that stays have a directory, and so a key, of their own"
    )]
    OtherRole,
    /// The agent's key was revoked.
    #[error(
        "this agent's key was revoked: enrol with another directory, which makes another key, and a new ticket"
    )]
    Revoked,
}

/// Whether a ticket lets its agent in by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// An operator compares the fingerprint of the agent's key first.
    ByOperator,
    /// Whoever redeems the ticket is in.
    AtOnce,
    /// An operator compares first, and the agent may then hand in what it measured on visits, and nothing else.
    Visitor,
}

/// What an agent is for. What one measured is kept apart from what the other did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It stays at its site and measures there round the clock: verdicts rest on it.
    Resident,
    /// It goes from site to site and hands in audits: snapshots, of which none becomes a verdict.
    Visitor,
}

/// An enrolled agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolledAgent {
    /// Its name.
    pub id: AgentId,
    /// Where it measures.
    pub site: String,
    /// Its Ed25519 public key.
    pub public_key: Vec<u8>,
    /// Whether its batches are taken.
    pub standing: Standing,
    /// The number of the list of the collector's certificates that it said it has; 0 where it said nothing.
    pub pins: u64,
    /// What it is for.
    pub role: Role,
}

/// What an agent has to do with a site that is not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Former {
    /// It never measured there.
    Never,
    /// It was moved away, and nothing has come of its new site: what it measured until it knew may still come.
    Leaving,
    /// Something has come of its new site since.
    Left,
}

/// What an operator decides about an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// The fingerprints were compared: it is in.
    Approve,
    /// Why its numbers came twice is known: it goes on under a new epoch.
    Release,
    /// Its key is worth nothing from now on.
    Revoke,
    /// It measures at this site from now on.
    Move(&'a str),
}

/// A decision that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecisionRefused {
    /// There is no such agent.
    #[error("there is no such agent; `messnetz collector agents` lists them")]
    Unknown,
    /// Its key was revoked, which is for good.
    #[error("its key was revoked, which is for good: enrol the box anew, with a new key")]
    Revoked,
    /// It was not let in yet.
    #[error("it waits for approval: compare its fingerprint, then `messnetz collector approve`")]
    Pending,
    /// It is in quarantine.
    #[error(
        "it is in quarantine because its numbers came twice: find the second box, then `messnetz collector release` or `revoke`"
    )]
    Quarantined,
    /// There is no quarantine to end.
    #[error("it is not in quarantine")]
    Approved,
}

impl Decision<'_> {
    /// What an agent's standing becomes.
    ///
    /// # Errors
    /// Where that cannot be decided about such an agent.
    pub fn about(self, standing: Standing) -> Result<Standing, DecisionRefused> {
        match (self, standing) {
            (Self::Revoke, _) => Ok(Standing::Revoked),
            (_, Standing::Revoked) => Err(DecisionRefused::Revoked),
            (Self::Approve, Standing::Quarantined) => Err(DecisionRefused::Quarantined),
            (Self::Approve, _) | (Self::Release, Standing::Quarantined) => Ok(Standing::Approved),
            (Self::Release | Self::Move(_), Standing::Pending) => Err(DecisionRefused::Pending),
            (Self::Release, Standing::Approved) => Err(DecisionRefused::Approved),
            (Self::Move(_), standing) => Ok(standing),
        }
    }
}

impl Role {
    const fn of(visits: bool) -> Self {
        if visits {
            Self::Visitor
        } else {
            Self::Resident
        }
    }
}

impl FromSql for Standing {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or(FromSqlError::InvalidType)
    }
}

/// The columns of [`agent_of`].
const COLUMNS: &str = "id, site, public_key, standing, pins, visits";

type AgentRow = (String, String, Vec<u8>, Standing, i64, bool);

fn columns(row: &Row<'_>) -> Result<AgentRow, rusqlite::Error> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

fn agent_of(
    (id, site, public_key, standing, pins, visits): AgentRow,
) -> Result<EnrolledAgent, StoreError> {
    let id = AgentId::try_from(id).map_err(|why| StoreError::Damaged {
        what: "an agent's name",
        why,
    })?;
    Ok(EnrolledAgent {
        id,
        site,
        public_key,
        standing,
        pins: pins.cast_unsigned(),
        role: Role::of(visits),
    })
}

fn agent(connection: &Connection, id: &AgentId) -> Result<Option<EnrolledAgent>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM agent WHERE id = ?1"))?;
    let row = statement.query_row([id.as_str()], columns).optional()?;
    row.map(agent_of).transpose()
}

/// Keeps an agent out until an operator has looked, because its numbers came twice.
pub(super) fn quarantine(connection: &Connection, id: &AgentId) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE agent SET standing = 'quarantined' WHERE id = ?1 AND standing = 'approved'",
        [id.as_str()],
    )?;
    Ok(())
}

/// How an epoch is closed to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It is open.
    No,
    /// It was released since, and has begun no later one: it has not heard that it is to.
    Unheard,
    /// It has begun a later one: whoever goes on with this one is a second box.
    Left,
}

/// Whether an agent may add nothing under this epoch any more.
pub(super) fn closed(
    connection: &Connection,
    id: &AgentId,
    epoch: i64,
) -> Result<Closed, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (
             SELECT 1 FROM run WHERE run.agent = agent.id AND run.epoch > agent.closed_epoch
             AND run.site IN (
                 SELECT agent.site UNION SELECT site FROM former_site WHERE former_site.agent = agent.id))
         FROM agent WHERE id = ?1 AND closed_epoch >= ?2",
    )?;
    let later = statement
        .query_row(params![id.as_str(), epoch], |row| row.get(0))
        .optional()?;
    Ok(match later {
        None => Closed::No,
        Some(false) => Closed::Unheard,
        Some(true) => Closed::Left,
    })
}

impl Connected {
    /// Keeps a ticket's hash until it is used or expires.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn add_ticket(
        &self,
        secret: &TicketSecret,
        site: &str,
        admission: Admission,
        now: UnixMillis,
        valid_for: Duration,
    ) -> Result<(), StoreError> {
        let valid_for = i64::try_from(valid_for.as_millis()).unwrap_or(i64::MAX);
        let expires = now.0.saturating_add(valid_for);
        let approves = admission == Admission::AtOnce;
        let visits = admission == Admission::Visitor;
        self.connection.execute(
            "INSERT INTO ticket (secret_hash, site, made_at, expires_at, approves, visits)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![secret.hash(), site, now.0, expires, approves, visits],
        )?;
        Ok(())
    }

    /// Uses a ticket up and enrols the agent that holds `public_key`, in one step. Whoever used it may
    /// ask again as long as it is enrolled: the answer may have been lost on the way, or was to wait.
    ///
    /// # Errors
    /// The inner error says why the ticket opened nothing; the outer one where the database refuses.
    pub(super) fn redeem_ticket(
        &mut self,
        secret: &TicketSecret,
        site: &str,
        public_key: &[u8],
        now: UnixMillis,
    ) -> Result<Result<EnrolledAgent, TicketRefused>, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = AgentId::of_key(public_key);
        let known = agent(&transaction, &id)?;
        let ticket: Option<(i64, Option<String>, bool, bool)> = transaction
            .query_row(
                "SELECT expires_at, used_by, approves, visits FROM ticket
                 WHERE secret_hash = ?1 AND site = ?2",
                params![secret.hash(), site],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .optional()?;
        let Some((expires, used_by, approves, visits)) = ticket else {
            return Ok(Err(TicketRefused::Unknown));
        };
        let is_first = match used_by {
            Some(name) if name != id.as_str() => return Ok(Err(TicketRefused::Used)),
            Some(_) => false,
            None if expires < now.0 => return Ok(Err(TicketRefused::Expired)),
            None => true,
        };
        let standing = match &known {
            None if !is_first => return Ok(Err(TicketRefused::Used)),
            Some(known) if known.standing == Standing::Revoked => {
                return Ok(Err(TicketRefused::Revoked));
            }
            Some(known) if known.site != site => return Ok(Err(TicketRefused::Elsewhere)),
            Some(known) if known.role != Role::of(visits) => {
                return Ok(Err(TicketRefused::OtherRole));
            }
            Some(known) if known.standing != Standing::Pending => known.standing,
            None | Some(_) if approves => Standing::Approved,
            None | Some(_) => Standing::Pending,
        };
        let agent = EnrolledAgent {
            id,
            site: site.to_owned(),
            public_key: public_key.to_vec(),
            standing,
            pins: known.map_or(0, |known| known.pins),
            role: Role::of(visits),
        };
        if is_first {
            transaction.execute(
                "UPDATE ticket SET used_at = ?1, used_by = ?2 WHERE secret_hash = ?3",
                params![now.0, agent.id.as_str(), secret.hash()],
            )?;
            transaction.execute(
                "INSERT INTO agent (id, site, public_key, enrolled_at, standing, visits)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE SET standing = excluded.standing",
                params![
                    agent.id.as_str(),
                    site,
                    public_key,
                    now.0,
                    agent.standing.as_str(),
                    visits
                ],
            )?;
            transaction.commit()?;
        }
        Ok(Ok(agent))
    }

    /// Does what an operator decided about an agent, and gives the agent as it is then.
    ///
    /// # Errors
    /// The inner error says why that cannot be; the outer one where the database refuses.
    pub(super) fn decide(
        &mut self,
        id: &AgentId,
        decision: Decision<'_>,
        now: UnixMillis,
    ) -> Result<Result<EnrolledAgent, DecisionRefused>, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(known) = agent(&transaction, id)? else {
            return Ok(Err(DecisionRefused::Unknown));
        };
        let standing = match decision.about(known.standing) {
            Ok(standing) => standing,
            Err(refused) => return Ok(Err(refused)),
        };
        let name = id.as_str();
        transaction.execute(
            "UPDATE agent SET standing = ?2 WHERE id = ?1",
            [name, standing.as_str()],
        )?;
        match decision {
            Decision::Release => close_epochs(&transaction, name)?,
            Decision::Move(site) if site != known.site => {
                transaction.execute(
                    "INSERT INTO former_site (site, agent, left_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (site, agent) DO UPDATE SET left_at = excluded.left_at",
                    params![known.site, name, now.0],
                )?;
                transaction.execute("UPDATE agent SET site = ?2 WHERE id = ?1", [name, site])?;
                // The serials of its schedules go on.
                transaction.execute(
                    "DELETE FROM schedule WHERE site = ?2 AND agent = ?1",
                    [name, site],
                )?;
                transaction.execute(
                    "UPDATE schedule SET site = ?2 WHERE site = ?3 AND agent = ?1",
                    [name, site, &known.site],
                )?;
            }
            Decision::Approve | Decision::Revoke | Decision::Move(_) => {}
        }
        let decided = agent(&transaction, id)?;
        transaction.commit()?;
        Ok(decided.ok_or(DecisionRefused::Unknown))
    }

    /// Keeps which list of the collector's certificates an agent said it has.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn keep_pins(&self, id: &AgentId, number: u64) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE agent SET pins = ?2 WHERE id = ?1",
            params![id.as_str(), number.cast_signed()],
        )?;
        Ok(())
    }

    /// The agent of this name.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn agent(&self, id: &AgentId) -> Result<Option<EnrolledAgent>, StoreError> {
        agent(&self.connection, id)
    }

    /// What an agent has to do with a site that it measured at before it was moved.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn former(&self, id: &AgentId, site: &str) -> Result<Former, StoreError> {
        // It sends in the order of its epochs: what came of where it is now, it measured after it knew of the move.
        let mut statement = self.connection.prepare_cached(
            "SELECT EXISTS (
                 SELECT 1 FROM agent JOIN run ON run.agent = agent.id AND run.site = agent.site
                 WHERE agent.id = former_site.agent AND run.received_at >= former_site.left_at)
             FROM former_site WHERE site = ?1 AND agent = ?2",
        )?;
        let has_arrived = statement
            .query_row([site, id.as_str()], |row| row.get(0))
            .optional()?;
        Ok(match has_arrived {
            None => Former::Never,
            Some(false) => Former::Leaving,
            Some(true) => Former::Left,
        })
    }

    /// All agents, by site.
    ///
    /// # Errors
    /// Where the database refuses or a name in it is damaged.
    pub(super) fn agents(&self) -> Result<Vec<EnrolledAgent>, StoreError> {
        let all = format!("SELECT {COLUMNS} FROM agent ORDER BY site, id");
        let mut statement = self.connection.prepare(&all)?;
        let rows = statement.query_map([], columns)?;
        rows.map(|row| agent_of(row?)).collect()
    }

    /// The names of the agents that measure at a site, in an order that stays.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn agents_of_site(&self, site: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id FROM agent
             WHERE site = ?1 AND standing IN ('approved', 'quarantined') AND NOT visits ORDER BY id",
        )?;
        let names = statement.query_map([site], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }
}

/// Lets an agent add nothing under the epochs that it has sent so far.
fn close_epochs(transaction: &Transaction<'_>, agent: &str) -> Result<(), StoreError> {
    transaction.execute(
        "WITH place (site) AS (
             SELECT site FROM agent WHERE id = ?1 UNION SELECT site FROM former_site WHERE agent = ?1)
         UPDATE agent SET closed_epoch = max(
             closed_epoch,
             coalesce((SELECT max(epoch) FROM run WHERE agent = ?1 AND site IN place), -1))
         WHERE id = ?1",
        [agent],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
