//! What the collector saw of the schools' lines when it asked last.

use messnetz_metric::UnixMillis;
use rusqlite::params;

use super::{Connected, StoreError};

/// What the collector saw of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSeen {
    /// At which site.
    pub site: String,
    /// When.
    pub asked_at: UnixMillis,
    /// Whether it answered, or why that could not be asked.
    pub answers: Result<bool, String>,
}

impl Connected {
    /// Keeps what was seen of a line, in place of what was seen before.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn keep_line_seen(&self, seen: &LineSeen) -> Result<(), StoreError> {
        self.connection.execute(
            "INSERT OR REPLACE INTO line_view (site, asked_at, answers, why) VALUES (?1, ?2, ?3, ?4)",
            params![
                seen.site,
                seen.asked_at.0,
                seen.answers.as_ref().ok(),
                seen.answers.as_ref().err()
            ],
        )?;
        Ok(())
    }

    /// What was seen of every line that was asked, by site.
    ///
    /// # Errors
    /// Where the database refuses.
    pub(super) fn lines_seen(&self) -> Result<Vec<LineSeen>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT site, asked_at, answers, why FROM line_view ORDER BY site")?;
        let rows = statement.query_map([], |row| {
            let why: Option<String> = row.get(3)?;
            Ok(LineSeen {
                site: row.get(0)?,
                asked_at: UnixMillis(row.get(1)?),
                answers: row
                    .get::<_, Option<bool>>(2)?
                    .ok_or_else(|| why.unwrap_or_default()),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
