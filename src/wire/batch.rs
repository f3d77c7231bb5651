//! A batch: what an agent measured since the last one, as it is sent, signed and kept.
//!
//! A batch is one JSON object with a header, its signature, and a chunk for each series with its digest.
//! The header names the agent, the site, the number and the batch before, and the root over the digests of
//! the chunks; it alone is signed. So a chunk may be taken out and what is left still verifies: the header
//! by its signature, the digests by the root, each chunk that is there by its digest. What is signed or
//! digested are the bytes as they stand in the document, which are kept and never written anew.

mod beside;
mod bounded;
mod columns;
mod digest;

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messnetz_metric::{Metric, Observation, Outcome, TEXT_LIMIT, Unit, UnixMillis};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{AgentId, BATCH_FORMAT, CollectorId, MAX_BATCH_BYTES, MAX_OBSERVATIONS};
use bounded::Bounded;
use columns::Columns;

pub use beside::{Beside, Clock, MAX_OMITTED, Omitted, Why};
pub use columns::Series;
pub use digest::Digest;

/// Octets of an Ed25519 signature (RFC 8032).
const SIGNATURE_OCTETS: usize = 64;

/// Most characters of a document that an error repeats.
const MAX_QUOTED: usize = 160;

/// Whose batch it is, for whom, and which one of its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The collector that it is for: another one does not take it.
    pub collector: CollectorId,
    /// Who measured.
    pub agent: AgentId,
    /// Where it was enrolled to measure.
    pub site: String,
    /// When the agent's spool began to count, in milliseconds since 1970: a new spool starts a new
    /// epoch, and so does a spool whose numbers were found taken. Later epochs are larger.
    pub epoch: u64,
    /// Counts the batches of an epoch, from 1, without gaps.
    pub sequence: u64,
    /// The [`Batch::hash`] of the batch before; the first of an epoch has none.
    pub previous: Option<Digest>,
}

/// What is signed of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`BATCH_FORMAT`].
    pub format: String,
    /// As in [`Link::collector`].
    pub collector: CollectorId,
    /// As in [`Link::agent`].
    pub agent: AgentId,
    /// As in [`Link::site`].
    pub site: String,
    /// As in [`Link::epoch`].
    pub epoch: u64,
    /// As in [`Link::sequence`].
    pub sequence: u64,
    /// As in [`Link::previous`].
    pub previous: Option<Digest>,
    /// How many observations all chunks have together.
    pub observations: u16,
    /// [`Digest::root`] of the chunks' digests.
    pub root: Digest,
    /// As in [`Beside::clock`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// As in [`Beside::omitted`].
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list"
    )]
    pub omitted: Vec<Omitted>,
}

/// A chunk: the observations of one series, or only the digest of what they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The digest that the root vouches for.
    pub digest: Digest,
    content: Option<Content>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    /// The bytes that were digested.
    text: String,
    columns: Columns,
}

/// Whether a chunk is what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its bytes have its digest.
    Holds,
    /// Its bytes have another digest.
    Altered,
    /// Its bytes were taken out; the digest is there.
    Pruned,
}

/// A batch as it was read or written. It need not be genuine: see [`Batch::is_signed_by`] and
/// [`Batch::root_holds`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: Header,
    header_text: String,
    signature: Option<Vec<u8>>,
    chunks: Vec<Chunk>,
}

/// Observations that no batch can hold.
#[derive(Debug, Error)]
pub enum NotWritable {
    /// The format counts time from 1970.
    #[error("an observation at {0} ms, before 1970, cannot be written into a batch")]
    Before1970(i64),
    /// A defect of whoever measured.
    #[error("{metric} is measured in {expected}, not in {found}")]
    Unit {
        /// What was measured.
        metric: Metric,
        /// In what it should be.
        expected: Unit,
        /// In what it was.
        found: Unit,
    },
    /// Too many for one batch.
    #[error("{0} observations are more than the {MAX_OBSERVATIONS} of a batch")]
    TooMany(usize),
    /// What would be written could not be read.
    #[error("this makes no batch: {0}")]
    Malformed(#[from] Malformed),
    /// Writing JSON failed.
    #[error("writing a batch")]
    Json(#[from] serde_json::Error),
}

/// A document that is no batch: where in it, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {why}")]
pub struct Malformed {
    path: String,
    why: String,
}

impl Malformed {
    fn at(path: impl fmt::Display, why: impl fmt::Display) -> Self {
        let cut = |text: String| text.chars().take(MAX_QUOTED).collect();
        Self {
            path: cut(path.to_string()),
            why: cut(why.to_string()),
        }
    }

    /// The same, seen from what it is part of.
    fn within(self, place: impl fmt::Display) -> Self {
        match self.path.as_str() {
            "." => Self::at(place, self.why),
            path => Self::at(format_args!("{place}.{path}"), &self.why),
        }
    }
}

/// Why a document is no batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Larger than any batch.
    #[error("the document is larger than the {MAX_BATCH_BYTES} bytes of a batch")]
    TooLarge,
    /// It says something else.
    #[error("the document is no {BATCH_FORMAT}: {0}")]
    Malformed(#[from] Malformed),
}

/// The document, each part as it stands in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    header: &'a RawValue,
    #[serde(default)]
    signature: Option<String>,
    digests: Bounded<Digest>,
    #[serde(borrow)]
    chunks: Bounded<Option<&'a RawValue>>,
}

impl Batch {
    /// A batch of these observations, not signed yet.
    ///
    /// # Errors
    /// Where they are too many, or one of them cannot be written, or the link is none.
    pub fn new(link: &Link, observations: &[Observation]) -> Result<Self, NotWritable> {
        Self::with(link, observations, Beside::default())
    }

    /// The same, with what is told beside the observations.
    ///
    /// # Errors
    /// Where they are too many, or one of them cannot be written, or what is beside them or the link is none.
    pub fn with(
        link: &Link,
        observations: &[Observation],
        beside: Beside,
    ) -> Result<Self, NotWritable> {
        let n_observations = u16::try_from(observations.len())
            .ok()
            .filter(|number| *number <= MAX_OBSERVATIONS)
            .ok_or(NotWritable::TooMany(observations.len()))?;
        let chunks = Self::chunks_of(observations)?;
        let header = Header {
            format: BATCH_FORMAT.to_owned(),
            collector: link.collector.clone(),
            agent: link.agent.clone(),
            site: link.site.clone(),
            epoch: link.epoch,
            sequence: link.sequence,
            previous: link.previous,
            observations: n_observations,
            root: Digest::root(chunks.iter().map(|chunk| chunk.digest)),
            clock: beside.clock,
            omitted: beside.omitted,
        };
        header.check()?;
        Ok(Self {
            header_text: serde_json::to_string(&header)?,
            header,
            signature: None,
            chunks,
        })
    }

    /// The chunks of a batch of these observations: always the same, so that they can be written again.
    ///
    /// # Errors
    /// Where one of the observations cannot be written.
    pub fn chunks_of(observations: &[Observation]) -> Result<Vec<Chunk>, NotWritable> {
        let columns = Columns::of(observations)?.into_iter();
        columns.map(Chunk::of).collect()
    }

    /// A chunk of one series, as [`Self::chunks_of`] writes it.
    ///
    /// # Errors
    /// Where one of the outcomes cannot be written.
    pub fn chunk_of(
        series: &Series,
        outcomes: &[(UnixMillis, Outcome)],
    ) -> Result<Chunk, NotWritable> {
        Chunk::of(Columns::of_series(series, outcomes)?)
    }

    /// A batch of a header as it was signed and chunks that were written again. Whether they are those that
    /// were signed, [`Self::root_holds`] and [`Self::is_signed_by`] say.
    ///
    /// # Errors
    /// Where the header is none.
    pub fn of_chunks(
        header_text: &str,
        signature: &[u8],
        chunks: Vec<Chunk>,
    ) -> Result<Self, Malformed> {
        let header: Header =
            serde_json::from_str(header_text).map_err(|error| Malformed::at("header", error))?;
        header.check().map_err(|wrong| wrong.within("header"))?;
        Ok(Self {
            header,
            header_text: header_text.to_owned(),
            signature: Some(signature.to_vec()),
            chunks,
        })
    }

    /// Reads a document. Size, depth and number of everything in it are bounded. That it can be read says
    /// nothing of whether it is genuine, nor of whether anything but the header is there.
    ///
    /// # Errors
    /// Where it is too large or no batch; then with the path to what is not.
    pub fn read(document: &[u8]) -> Result<Self, BatchError> {
        if document.len() > MAX_BATCH_BYTES {
            return Err(BatchError::TooLarge);
        }
        let parts: Document<'_> = serde_json::from_slice(document)
            .map_err(|error| Malformed::at("the document", error))?;
        let header: Header = parsed(parts.header).map_err(|wrong| wrong.within("header"))?;
        header.check().map_err(|wrong| wrong.within("header"))?;
        let signature = parts.signature.as_deref().map(read_signature).transpose()?;
        let (digests, texts) = (parts.digests.0, parts.chunks.0);
        if digests.len() != texts.len() {
            let numbers = format_args!("{} for {} chunks", digests.len(), texts.len());
            return Err(Malformed::at("digests", numbers).into());
        }
        let mut chunks = Vec::with_capacity(digests.len());
        let mut n_observations = 0;
        for (index, (digest, text)) in digests.into_iter().zip(texts).enumerate() {
            let here = |wrong: Malformed| wrong.within(format_args!("chunks[{index}]"));
            let Some(text) = text else {
                chunks.push(Chunk::taken_out(digest));
                continue;
            };
            let columns: Columns = parsed(text).map_err(here)?;
            columns.check().map_err(here)?;
            n_observations += columns.len();
            let text = text.get().to_owned();
            chunks.push(Chunk {
                digest,
                content: Some(Content { text, columns }),
            });
            if n_observations > usize::from(header.observations) {
                break;
            }
        }
        each_series_once(&chunks)?;
        // A header alone is what is left once all samples were pruned.
        let is_whole = !chunks.is_empty() && chunks.iter().all(|chunk| chunk.content.is_some());
        let stated = usize::from(header.observations);
        if n_observations > stated || (is_whole && n_observations < stated) {
            let why = format_args!("{stated}, and the chunks have another number");
            return Err(Malformed::at("header.observations", why).into());
        }
        Ok(Self {
            header,
            header_text: parts.header.get().to_owned(),
            signature,
            chunks,
        })
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        let chunks: Vec<_> = self
            .chunks
            .iter()
            .map(|chunk| (chunk.digest, chunk.text()))
            .collect();
        document(&self.header_text, self.signature(), &chunks)
    }

    /// A batch of the parts that were kept of it, each as it stood in the document.
    ///
    /// # Errors
    /// Where they make no batch.
    pub fn of_parts(
        header_text: &str,
        signature: &[u8],
        chunks: &[(Digest, Option<&str>)],
    ) -> Result<Self, BatchError> {
        Self::read(&document(header_text, Some(signature), chunks))
    }

    /// What is signed.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes of the header as they were signed.
    #[must_use]
    pub fn header_text(&self) -> &str {
        &self.header_text
    }

    /// The Ed25519 signature; `None` where the document has none.
    #[must_use]
    pub fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }

    /// The chunks, in the order of the root.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The observations of all chunks that are there, series by series.
    pub fn observations(&self) -> impl Iterator<Item = Observation> + '_ {
        self.chunks.iter().flat_map(Chunk::observations)
    }

    /// What names the batch and all that is in it: the digest of the header's bytes.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(self.header_text.as_bytes())
    }

    /// Signs the header, with the format's name in front so that it cannot be taken for a signature of
    /// anything else.
    #[must_use]
    pub fn signed_with(self, key: &Ed25519KeyPair) -> Self {
        let signature = key.sign(&self.signed_bytes());
        Self {
            signature: Some(signature.as_ref().to_vec()),
            ..self
        }
    }

    /// Whether the holder of this Ed25519 key signed the header.
    #[must_use]
    pub fn is_signed_by(&self, public_key: &[u8]) -> bool {
        self.signature.as_ref().is_some_and(|signature| {
            UnparsedPublicKey::new(&ED25519, public_key)
                .verify(&self.signed_bytes(), signature)
                .is_ok()
        })
    }

    /// Whether the digests are those that the header vouches for.
    #[must_use]
    pub fn root_holds(&self) -> bool {
        self.header.root == Digest::root(self.chunks.iter().map(|chunk| chunk.digest))
    }

    /// Whether the digests are the header's and every chunk is there as it was digested.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let all_hold = self
            .chunks
            .iter()
            .all(|chunk| chunk.standing() == Standing::Holds);
        self.root_holds() && all_hold
    }

    /// Whether what is there is what was signed: every chunk that has bytes, and the digests, where there are any.
    #[must_use]
    pub fn what_is_there_holds(&self) -> bool {
        let altered = |chunk: &Chunk| chunk.standing() == Standing::Altered;
        self.is_header_alone() || self.root_holds() && !self.chunks.iter().any(altered)
    }

    /// The batch without the content of the chunks that `keep` does not want; header and digests stay, so
    /// that what is left verifies as before.
    #[must_use]
    pub fn pruned(self, keep: impl Fn(&Chunk) -> bool) -> Self {
        let prune = |chunk: Chunk| Chunk {
            content: if keep(&chunk) { chunk.content } else { None },
            digest: chunk.digest,
        };
        Self {
            chunks: self.chunks.into_iter().map(prune).collect(),
            ..self
        }
    }

    /// The batch without any chunk or digest: what is left says who signed which root, and of what chain it is part.
    #[must_use]
    pub fn header_alone(self) -> Self {
        Self {
            chunks: Vec::new(),
            ..self
        }
    }

    /// Whether nothing but the header is there of what was more.
    #[must_use]
    pub fn is_header_alone(&self) -> bool {
        self.chunks.is_empty() && self.header.observations > 0
    }

    fn signed_bytes(&self) -> Vec<u8> {
        signed_bytes(BATCH_FORMAT, &self.header_text)
    }
}

/// The document of these parts.
fn document(
    header_text: &str,
    signature: Option<&[u8]>,
    chunks: &[(Digest, Option<&str>)],
) -> Vec<u8> {
    let signature = signature.map_or_else(String::new, |octets| {
        format!("\"signature\":\"{}\",\n", STANDARD.encode(octets))
    });
    let (digests, chunks): (Vec<String>, Vec<&str>) = chunks
        .iter()
        .map(|(digest, text)| (format!("\"{digest}\""), text.unwrap_or("null")))
        .unzip();
    format!(
        "{{\"header\":{header_text},\n{signature}\"digests\":[{}],\n\"chunks\":[\n{}\n]}}\n",
        digests.join(","),
        chunks.join(",\n")
    )
    .into_bytes()
}

/// What a signature covers: the name of the format as its domain, a line feed, and the text.
pub(super) fn signed_bytes(format: &str, text: &str) -> Vec<u8> {
    format!("{format}\n{text}").into_bytes()
}

impl Header {
    fn check(&self) -> Result<(), Malformed> {
        if self.format != BATCH_FORMAT {
            let format = &self.format;
            return Err(Malformed::at("format", format_args!("it is '{format}'")));
        }
        if self.site.is_empty() || self.site.chars().nth(TEXT_LIMIT).is_some() {
            let why = format_args!("it has 1 to {TEXT_LIMIT} characters");
            return Err(Malformed::at("site", why));
        }
        // Stores and other languages have signed integers.
        for (name, number) in [("epoch", self.epoch), ("sequence", self.sequence)] {
            if i64::try_from(number).is_err() {
                let why = format_args!("{number} is too large a number");
                return Err(Malformed::at(name, why));
            }
        }
        if self.sequence == 0 {
            return Err(Malformed::at("sequence", "the first batch is number 1"));
        }
        if (self.sequence == 1) != self.previous.is_none() {
            let why = "the first batch of an epoch has no batch before it, and every other has one";
            return Err(Malformed::at("previous", why));
        }
        self.beside().check()
    }

    /// What is told beside the observations.
    #[must_use]
    pub fn beside(&self) -> Beside {
        Beside {
            clock: self.clock.clone(),
            omitted: self.omitted.clone(),
        }
    }

    /// Whether the times in the batch can be right.
    #[must_use]
    pub fn is_dated(&self) -> bool {
        self.clock.as_ref().is_none_or(|clock| clock.dated)
    }
}

impl Chunk {
    fn of(columns: Columns) -> Result<Self, NotWritable> {
        columns.check()?;
        let text = serde_json::to_string(&columns)?;
        Ok(Self {
            digest: Digest::of(text.as_bytes()),
            content: Some(Content { text, columns }),
        })
    }

    /// A chunk of which only this digest is there.
    #[must_use]
    pub const fn taken_out(digest: Digest) -> Self {
        let content = None;
        Self { digest, content }
    }

    /// Whether it is what was signed, given that its digest is.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self.text() {
            None => Standing::Pruned,
            Some(text) if Digest::of(text.as_bytes()) == self.digest => Standing::Holds,
            Some(_) => Standing::Altered,
        }
    }

    /// The bytes that were digested; `None` where they were taken out.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.content.as_ref().map(|content| content.text.as_str())
    }

    /// Which series it is of; `None` where it was taken out.
    #[must_use]
    pub fn series(&self) -> Option<Series> {
        Some(self.content.as_ref()?.columns.series())
    }

    /// How many observations it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        let columns = self.content.as_ref().map(|content| &content.columns);
        columns.map_or(0, Columns::len)
    }

    /// Whether it was taken out: a chunk that is there holds something.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.content.is_none()
    }

    /// When it was measured, in the order as written; nothing where it was taken out.
    pub fn times(&self) -> impl Iterator<Item = UnixMillis> + '_ {
        let content = self.content.iter();
        content.flat_map(|content| content.columns.times())
    }

    /// What was measured and when, in the order as written; nothing where it was taken out.
    pub fn outcomes(&self) -> impl Iterator<Item = (UnixMillis, Outcome)> + '_ {
        let content = self.content.iter();
        content.flat_map(|content| content.columns.outcomes())
    }

    /// The same as observations.
    pub fn observations(&self) -> impl Iterator<Item = Observation> + '_ {
        self.content.iter().flat_map(|content| {
            let Series {
                metric,
                vantage,
                peer,
            } = content.columns.series();
            content
                .columns
                .outcomes()
                .map(move |(at, outcome)| Observation {
                    metric,
                    at,
                    vantage: vantage.clone(),
                    peer: peer.clone(),
                    outcome,
                })
        })
    }
}

/// A series has one chunk in a batch.
fn each_series_once(chunks: &[Chunk]) -> Result<(), Malformed> {
    let mut known = HashSet::new();
    for (index, chunk) in chunks.iter().enumerate() {
        let identity = chunk
            .content
            .as_ref()
            .map(|content| content.columns.identity());
        if identity.is_some_and(|identity| !known.insert(identity)) {
            let place = format_args!("chunks[{index}]");
            return Err(Malformed::at(place, "an earlier chunk is of this series"));
        }
    }
    Ok(())
}

/// Reads a part of a document; an error has the path from that part.
fn parsed<T: DeserializeOwned>(text: &RawValue) -> Result<T, Malformed> {
    // Keeping the path costs time, and is needed only where something is wrong.
    if let Ok(read) = serde_json::from_str(text.get()) {
        return Ok(read);
    }
    let mut reader = serde_json::Deserializer::from_str(text.get());
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Malformed::at(error.path(), error.inner()))
}

fn read_signature(text: &str) -> Result<Vec<u8>, Malformed> {
    STANDARD
        .decode(text)
        .ok()
        .filter(|octets| octets.len() == SIGNATURE_OCTETS)
        .ok_or_else(|| Malformed::at("signature", "it is no base64 of an Ed25519 signature"))
}

#[cfg(test)]
mod tests;
