//! Releases that are offered to agents, and what each agent says of the program that it runs.

use messnetz_metric::UnixMillis;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Connected, StoreError};
use crate::wire::{AgentId, ProgramReport, SignedRelease};

/// A release that agents of one kind of machine may have.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What it was built for.
    pub target: String,
    /// As it was signed.
    pub release: SignedRelease,
    /// Percent of the agents that may have it.
    pub stage: u8,
    /// Only these sites.
    pub sites: Option<Vec<String>>,
    /// When it was offered.
    pub offered_at: UnixMillis,
    /// Why it is given to nobody any more.
    pub halted: Option<String>,
}

/// What an agent said last of its program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramSeen {
    /// When.
    pub reported_at: UnixMillis,
    /// What.
    pub report: ProgramReport,
    /// Serial of the release that it was given last.
    pub given: Option<u64>,
    /// When it was given that first.
    pub given_at: Option<UnixMillis>,
}

type OfferRow = (String, String, u8, Option<String>, i64, Option<String>);

fn offer_of(
    (target, release, stage, sites, offered_at, halted): OfferRow,
) -> Result<Offer, StoreError> {
    let sites = sites.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Offer {
        target,
        release: serde_json::from_str(&release).map_err(|error| damaged(&error))?,
        stage,
        sites: sites.map_err(|error| damaged(&error))?,
        offered_at: UnixMillis(offered_at),
        halted,
    })
}

fn damaged(error: &serde_json::Error) -> StoreError {
    StoreError::Damaged {
        what: "a release or a report of a program",
        why: error.to_string(),
    }
}

fn seen_of(row: &Row<'_>) -> Result<(i64, String, Option<i64>, Option<i64>), rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

impl Connected {
    /// Offers a release, in the place of the one before for such machines.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn keep_offer(&self, offer: &Offer) -> Result<(), StoreError> {
        let release = serde_json::to_string(&offer.release).map_err(|error| damaged(&error))?;
        let sites = offer.sites.as_ref().map(serde_json::to_string).transpose();
        self.connection.execute(
            "INSERT OR REPLACE INTO offer (target, release, stage, sites, offered_at, halted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                offer.target,
                release,
                offer.stage,
                sites.map_err(|error| damaged(&error))?,
                offer.offered_at.0,
                offer.halted
            ],
        )?;
        Ok(())
    }

    /// Takes an offer back; whether there was one.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn withdraw_offer(&self, target: &str) -> Result<bool, StoreError> {
        let taken = self
            .connection
            .execute("DELETE FROM offer WHERE target = ?1", [target])?;
        Ok(taken > 0)
    }

    /// All offers, by machine.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn offers(&self) -> Result<Vec<Offer>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT target, release, stage, sites, offered_at, halted FROM offer ORDER BY target",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })?;
        rows.map(|row| offer_of(row?)).collect()
    }

    /// Keeps what an agent said of its program, in the place of what it said before.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn keep_program(&self, seen: &ProgramSeen) -> Result<(), StoreError> {
        let report = serde_json::to_string(&seen.report).map_err(|error| damaged(&error))?;
        self.connection.execute(
            "INSERT OR REPLACE INTO program (agent, reported_at, report, given, given_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                seen.report.agent.as_str(),
                seen.reported_at.0,
                report,
                seen.given.map(u64::cast_signed),
                seen.given_at.map(|at| at.0)
            ],
        )?;
        Ok(())
    }

    /// What an agent said last of its program.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn program(&self, agent: &AgentId) -> Result<Option<ProgramSeen>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT reported_at, report, given, given_at FROM program WHERE agent = ?1",
        )?;
        let row = statement.query_row([agent.as_str()], seen_of).optional()?;
        row.map(seen).transpose()
    }

    /// What all agents said last of their programs, or those that were given this release.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn programs(&self, given: Option<u64>) -> Result<Vec<ProgramSeen>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT reported_at, report, given, given_at FROM program
             WHERE ?1 IS NULL OR given = ?1 ORDER BY agent",
        )?;
        let rows = statement.query_map([given.map(u64::cast_signed)], seen_of)?;
        rows.map(|row| seen(row?)).collect()
    }
}

fn seen(
    (reported_at, report, given, given_at): (i64, String, Option<i64>, Option<i64>),
) -> Result<ProgramSeen, StoreError> {
    Ok(ProgramSeen {
        reported_at: UnixMillis(reported_at),
        report: serde_json::from_str(&report).map_err(|error| damaged(&error))?,
        given: given.map(i64::cast_unsigned),
        given_at: given_at.map(UnixMillis),
    })
}
