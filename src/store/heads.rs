//! Where the chains of batches end: who wrote the hash of a last batch down can prove later that nothing before it was
//! cut or exchanged.

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::{Connected, StoreError};
use crate::wire::AgentId;
use crate::wire::batch::Digest;

/// The last batch of an agent at a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// Where it measured.
    pub site: String,
    /// Who.
    pub agent: AgentId,
    /// The epoch of the batch.
    pub epoch: u64,
    /// Its number.
    pub sequence: u64,
    /// Its hash, which covers the hash of the one before.
    pub hash: Digest,
}

impl Connected {
    /// The last batch of every agent that stays or stayed at a site, by site.
    ///
    /// # Errors
    /// Where the database refuses or holds what this program does not write.
    pub(super) fn heads(&self) -> Result<Vec<ChainHead>, StoreError> {
        let _view = self.connection.unchecked_transaction()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT site, id FROM agent WHERE NOT visits
             UNION SELECT former_site.site, agent FROM former_site
                   JOIN agent ON agent.id = former_site.agent WHERE NOT visits
             ORDER BY 1, 2",
        )?;
        let mut last = self.connection.prepare_cached(
            "SELECT epoch, sequence, hash FROM (
                 SELECT * FROM (SELECT epoch, sequence, hash FROM tail
                     WHERE site = ?1 AND agent = ?2 ORDER BY epoch DESC, sequence DESC LIMIT 1)
                 UNION ALL
                 SELECT * FROM (SELECT epoch, to_sequence, hash FROM segment
                     WHERE site = ?1 AND agent = ?2 ORDER BY epoch DESC, from_sequence DESC LIMIT 1))
             ORDER BY epoch DESC, sequence DESC LIMIT 1",
        )?;
        let places = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let places: Vec<(String, String)> = places.collect::<Result<_, _>>()?;
        let mut heads = Vec::new();
        for (site, agent) in places {
            let found: Option<(i64, i64, [u8; 32])> = last
                .query_row(params![site, agent], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let Some((epoch, sequence, hash)) = found else {
                continue;
            };
            heads.push(ChainHead {
                site,
                agent: AgentId::try_from(agent).map_err(|why| StoreError::Damaged {
                    what: "an agent's name",
                    why,
                })?,
                epoch: epoch.cast_unsigned(),
                sequence: sequence.cast_unsigned(),
                hash: Digest::from_bytes(hash),
            });
        }
        Ok(heads)
    }
}
