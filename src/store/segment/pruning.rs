//! Taking the bulk of the samples out of a segment. Headers and signatures stay, so that the chain still verifies;
//! of a batch that keeps a chunk stay the digests of the others, so that what is left still verifies as well.

use super::super::rolled::Rolled;
use super::{
    Batch, Beginning, Chunk, Derived, Digest, Evidence, Form, Kept, SIGNATURE, Samples, Sealed,
    Series, each, place, read_number, take,
};

/// What is left of a segment.
#[derive(Debug)]
pub(in crate::store) struct Pruned {
    pub(in crate::store) sealed: Sealed,
    /// The roll-ups of what was taken out, as they are kept.
    pub(in crate::store) rolled: Vec<u8>,
    /// How many samples were taken out.
    pub(in crate::store) observations: u64,
}

/// What is known of a batch whose chunks are not all there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stub {
    pub(super) skeleton: String,
    pub(super) signature: [u8; SIGNATURE],
    pub(super) observations: u64,
    pub(super) root: Digest,
    /// The digest of each chunk that was taken out, and nothing for one that is there; empty where none is.
    pub(super) chunks: Vec<Option<Digest>>,
}

impl Stub {
    fn of(left: &Batch) -> Option<Self> {
        let derived = Derived::of(left.header());
        let digest = |chunk: &Chunk| chunk.is_empty().then_some(chunk.digest);
        Some(Self {
            skeleton: derived.cut(left.header_text()),
            signature: left.signature()?.try_into().ok()?,
            observations: derived.observations,
            root: derived.root,
            chunks: left.chunks().iter().map(digest).collect(),
        })
    }

    /// Takes what follows the skeleton off the front: of `bytes` what is packed, of `octets` what cannot be.
    pub(super) fn read(skeleton: String, bytes: &mut &[u8], octets: &mut &[u8]) -> Option<Self> {
        let observations = read_number(bytes)?;
        let count = read_number(bytes)?;
        let signature = take(octets, SIGNATURE)?.try_into().ok()?;
        let root = digest(octets)?;
        let mut chunks = Vec::new();
        for _ in 0..count {
            let is_gone = take(bytes, 1)?.first().copied()? != 0;
            chunks.push(if is_gone { Some(digest(octets)?) } else { None });
        }
        Some(Self {
            skeleton,
            signature,
            observations,
            root,
            chunks,
        })
    }

    /// The batch, of what was kept of it and the chunks that are there.
    pub(super) fn batch(&self, there: Vec<Chunk>, at: Beginning) -> Option<Batch> {
        let mut there = there.into_iter();
        let chunk = |digest: &Option<Digest>| match digest {
            Some(digest) => Some(Chunk::taken_out(*digest)),
            None => there.next(),
        };
        let chunks = self.chunks.iter().map(chunk).collect::<Option<_>>()?;
        if there.next().is_some() {
            return None;
        }
        let derived = Derived {
            sequence: at.sequence,
            previous: at.previous,
            observations: self.observations,
            root: self.root,
        };
        Batch::of_chunks(&derived.fill(&self.skeleton), &self.signature, chunks).ok()
    }
}

fn digest(octets: &mut &[u8]) -> Option<Digest> {
    let digest = take(octets, size_of::<Digest>())?.try_into().ok()?;
    Some(Digest::from_bytes(digest))
}

/// Prunes the series that are measured more often than once an hour; `None` where what is left would not give back the
/// headers and the other series as they were.
pub(in crate::store) fn prune(
    batches: &[Kept],
    beginning: Beginning,
    number_of: impl Fn(&Series) -> Option<i64>,
    series_of: impl Fn(i64) -> Option<Series>,
) -> Option<Pruned> {
    let mut whole = Samples::default();
    for kept in batches {
        place(&mut whole, &kept.batch, &number_of)?;
    }
    let mut rolled = Rolled::default();
    let mut rare: Vec<i64> = Vec::new();
    let mut observations = 0;
    for (number, block) in &whole.blocks {
        if block.is_rare() {
            rare.push(*number);
        } else {
            rolled.push(*number, block);
            observations += block.len() as u64;
        }
    }
    let stays = |chunk: &Chunk| {
        let series = chunk.series();
        series.is_some_and(|series| number_of(&series).is_some_and(|number| rare.contains(&number)))
    };
    let (mut samples, mut evidence) = (Samples::default(), Evidence::default());
    let mut left = Vec::with_capacity(batches.len());
    let mut at = beginning;
    for kept in batches {
        let (form, batch) = form_of(&kept.batch, stays, at);
        let layout = place(&mut samples, &batch, &number_of)?;
        at = Beginning {
            sequence: at.sequence.checked_add(1)?,
            previous: Some(batch.hash()),
        };
        let received_at = kept.received_at;
        left.push(Kept { batch, received_at });
        evidence.push(layout, received_at, form)?;
    }
    let sealed = Sealed {
        evidence: evidence.write()?,
        samples: samples.write(),
    };
    let mut back = left.iter();
    let equal = each(&sealed, beginning, series_of, |kept| {
        back.next() == Some(&kept)
    })?;
    (equal && back.next().is_none()).then(|| Pruned {
        sealed,
        rolled: rolled.write(),
        observations,
    })
}

/// What is left of a batch, and the form that it is kept in.
fn form_of(batch: &Batch, stays: impl Fn(&Chunk) -> bool, at: Beginning) -> (Form, Batch) {
    if batch.chunks().iter().all(&stays) {
        return (Form::of(batch, at), batch.clone());
    }
    let left = batch.clone().pruned(&stays);
    let there: Vec<Chunk> = left
        .chunks()
        .iter()
        .filter(|chunk| !chunk.is_empty())
        .cloned()
        .collect();
    // The digests of what is gone are needed where something else is there that they stand beside.
    let stub_of = if there.is_empty() {
        left.clone().header_alone()
    } else {
        left.clone()
    };
    let stub = Stub::of(&stub_of).filter(|stub| stub.batch(there, at).as_ref() == Some(&stub_of));
    match stub {
        Some(stub) => (Form::Pruned(Box::new(stub)), stub_of),
        // Somebody wrote it in another way.
        None => (Form::Verbatim(left.document()), left),
    }
}
