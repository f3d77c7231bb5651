//! An agent as the collector sees it: a key, a site, and a chain of batches that grows.

use anyhow::{Context as _, Result};
use messnetz::wire::batch::{Batch, Beside, Clock, Digest, Link};
use messnetz::wire::{AgentId, BATCH_PATH, CollectorId};
use messnetz_metric::Observation;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::conversation::{Request, post};

/// An agent.
#[derive(Debug)]
pub(crate) struct SchoolBox {
    key: Ed25519KeyPair,
    collector: CollectorId,
    pub(crate) site: String,
    epoch: u64,
    /// Number and hash of the last batch.
    last: (u64, Option<Digest>),
}

impl SchoolBox {
    /// One with a new key.
    pub(crate) fn new(collector: CollectorId, site: String, epoch: u64) -> Result<Self> {
        let mut seed = [0; 32];
        let filled = SystemRandom::new().fill(&mut seed);
        filled.ok().context("the system gave no random numbers")?;
        let key = Ed25519KeyPair::from_seed_unchecked(&seed);
        Ok(Self {
            key: key.ok().context("a seed that makes no key")?,
            collector,
            site,
            epoch,
            last: (0, None),
        })
    }

    pub(crate) fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    pub(crate) fn id(&self) -> AgentId {
        AgentId::of_key(self.public_key())
    }

    /// The next batch of the chain, signed.
    pub(crate) fn batch(&mut self, observations: &[Observation]) -> Result<Batch> {
        let (number, previous) = self.last;
        let link = Link {
            collector: self.collector.clone(),
            agent: self.id(),
            site: self.site.clone(),
            epoch: self.epoch,
            sequence: number + 1,
            previous,
        };
        let clock = Clock {
            boot: "0123456789abcdef".to_owned(),
            offset: self.epoch.cast_signed(),
            synchronised: true,
            since_sync: u32::try_from((number + 1) * 61 % 1_024).ok(),
            stepped: 0,
            dated: true,
        };
        let beside = Beside {
            clock: Some(clock),
            omitted: Vec::new(),
        };
        let batch = Batch::with(&link, observations, beside)?.signed_with(&self.key);
        self.last = (number + 1, Some(batch.hash()));
        Ok(batch)
    }

    /// The same as a request, packed as agents pack.
    pub(crate) fn request(&mut self, observations: &[Observation]) -> Result<Request> {
        let document = self.batch(observations)?.document();
        let body = compress_to_vec(&document[..], CompressionLevel::Fastest);
        Ok(post(BATCH_PATH, "Content-Encoding: zstd\r\n", &body))
    }
}
