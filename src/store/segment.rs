//! A segment: batches of one agent, one after the other, sealed into one block for each series and what of
//! the batches cannot be derived from the blocks.
//!
//! Our agents write a batch in one way only, so the text of a chunk, its digest, the root and the hash of a
//! batch follow from its samples, and the batch before from the one before. What is kept beside the samples
//! is which of them belong to which batch, what else stood in the header, when the batch came, and its
//! signature. The samples are the evidence: a changed one yields another root, and no signature fits it. A
//! batch that somebody wrote in another way is kept as it came, beside its samples. What cannot be derived any
//! more once samples were pruned takes their place: root, number of observations, digests.

mod pruning;
mod samples;

use messnetz_metric::{Outcome, UnixMillis};

use super::block::{Block, read_packed, read_text, write_packed, write_text};
use super::column::{self, read_number, take, write_number};
use super::skeleton::Derived;
use crate::wire::batch::{Batch, Chunk, Digest, Series};

use pruning::Stub;
pub(super) use pruning::{Pruned, prune};
pub(super) use samples::Samples;

/// Octets of a signature.
const SIGNATURE: usize = 64;

/// Most batches of a segment that is read.
const MAX_BATCHES: u64 = 1 << 16;

/// A batch and when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) batch: Batch,
    pub(super) received_at: i64,
}

/// Where the batches of a segment begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// Number of the first.
    pub(super) sequence: u64,
    /// The batch before it.
    pub(super) previous: Option<Digest>,
}

/// A sealed segment: what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) evidence: Vec<u8>,
    pub(super) samples: Vec<u8>,
}

/// Of which series a batch has how many samples, chunk by chunk.
type Layout = Vec<(usize, usize)>;

/// What is kept of a batch beside its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// All else follows.
    Derived {
        skeleton: String,
        signature: [u8; SIGNATURE],
    },
    /// Somebody wrote it in another way.
    Verbatim(Vec<u8>),
    /// Not all of its samples are there.
    Pruned(Box<Stub>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Evidence {
    layouts: Vec<Layout>,
    layout: Vec<i64>,
    received_at: Vec<i64>,
    forms: Vec<Form>,
}

/// Seals batches of one agent and epoch that follow each other; `None` where one of their series has no
/// number, or what was sealed would not give them back.
pub(super) fn seal(
    batches: &[Kept],
    beginning: Beginning,
    number_of: impl Fn(&Series) -> Option<i64>,
    series_of: impl Fn(i64) -> Option<Series>,
) -> Option<Sealed> {
    let (mut samples, mut evidence) = (Samples::default(), Evidence::default());
    let mut at = beginning;
    for kept in batches {
        let layout = place(&mut samples, &kept.batch, &number_of)?;
        evidence.push(layout, kept.received_at, Form::of(&kept.batch, at))?;
        at = Beginning {
            sequence: at.sequence.checked_add(1)?,
            previous: Some(kept.batch.hash()),
        };
    }
    let sealed = Sealed {
        evidence: evidence.write()?,
        samples: samples.write(),
    };
    let mut back = 0;
    let equal = each(&sealed, beginning, series_of, |kept| {
        let is_same = batches.get(back) == Some(&kept);
        back += 1;
        is_same
    });
    (equal? && back == batches.len()).then_some(sealed)
}

/// Puts the samples of a batch into their blocks.
fn place(
    samples: &mut Samples,
    batch: &Batch,
    number_of: impl Fn(&Series) -> Option<i64>,
) -> Option<Layout> {
    let mut layout = Vec::with_capacity(batch.chunks().len());
    for chunk in batch.chunks() {
        let Some(series) = chunk.series() else {
            continue;
        };
        let number = number_of(&series)?;
        let known = samples
            .blocks
            .iter()
            .position(|(known, _)| *known == number);
        let place = known.unwrap_or_else(|| {
            samples.blocks.push((number, Block::default()));
            samples.blocks.len() - 1
        });
        let (_, block) = samples.blocks.get_mut(place)?;
        for (at, outcome) in chunk.outcomes() {
            block.push(at, outcome);
        }
        layout.push((place, chunk.len()));
    }
    Some(layout)
}

/// Hands each batch of a segment over until `go_on` says no; whether it never did, and `None` where this is
/// no segment.
pub(super) fn each(
    sealed: &Sealed,
    beginning: Beginning,
    series_of: impl Fn(i64) -> Option<Series>,
    mut go_on: impl FnMut(Kept) -> bool,
) -> Option<bool> {
    let evidence = Evidence::read(&sealed.evidence)?;
    let samples = Samples::read(&sealed.samples)?;
    let mut series = Vec::with_capacity(samples.blocks.len());
    for (number, block) in &samples.blocks {
        let of = series_of(*number)?;
        let unit = of.metric.quantity.unit();
        series.push((of, block.outcomes(unit)));
    }
    let mut at = beginning;
    let columns = evidence.layout.iter().zip(&evidence.received_at);
    for ((layout, received_at), form) in columns.zip(&evidence.forms) {
        let layout = evidence.layouts.get(usize::try_from(*layout).ok()?)?;
        let mut parts = Vec::with_capacity(layout.len());
        for (place, count) in layout {
            let (_, outcomes) = series.get_mut(*place)?;
            parts.push((*place, outcomes.take(*count).collect::<Vec<_>>()));
        }
        let part = |(place, outcomes)| series.get(place).map(|(of, _)| (of, outcomes));
        let parts: Vec<Part<'_>> = parts.into_iter().map(part).collect::<Option<_>>()?;
        let batch = form.batch(&parts, at)?;
        at = Beginning {
            sequence: at.sequence.checked_add(1)?,
            previous: Some(batch.hash()),
        };
        let received_at = *received_at;
        if !go_on(Kept { batch, received_at }) {
            return Some(false);
        }
    }
    // A sample of no batch would be judged, and nobody has signed it.
    let mut left = series.into_iter().map(|(_, mut outcomes)| outcomes.next());
    left.all(|outcome| outcome.is_none()).then_some(true)
}

/// The samples of one series of a batch.
type Part<'a> = (&'a Series, Vec<(UnixMillis, Outcome)>);

impl Form {
    /// What must be kept of this batch.
    fn of(batch: &Batch, at: Beginning) -> Self {
        Self::derived(batch, at).unwrap_or_else(|| Self::Verbatim(batch.document()))
    }

    fn derived(batch: &Batch, at: Beginning) -> Option<Self> {
        let signature = <[u8; SIGNATURE]>::try_from(batch.signature()?).ok()?;
        let there = || batch.chunks().iter().filter(|chunk| !chunk.is_empty());
        let series: Vec<Series> = there().filter_map(Chunk::series).collect();
        let outcomes = there().map(|chunk| chunk.outcomes().collect());
        let parts: Vec<Part<'_>> = series.iter().zip(outcomes).collect();
        let skeleton = Derived::of(batch.header()).cut(batch.header_text());
        let form = Self::Derived {
            skeleton,
            signature,
        };
        (form.batch(&parts, at).as_ref() == Some(batch)).then_some(form)
    }

    /// The batch, of what was kept of it and its samples.
    fn batch(&self, parts: &[Part<'_>], at: Beginning) -> Option<Batch> {
        match self {
            // What is judged are the samples: they must be those of the document.
            Self::Verbatim(document) => Batch::read(document)
                .ok()
                .filter(|batch| are_of(batch, parts)),
            Self::Pruned(stub) => stub.batch(chunks_of(parts)?, at),
            Self::Derived {
                skeleton,
                signature,
            } => {
                let chunks = chunks_of(parts)?;
                let observations: usize = parts.iter().map(|(_, outcomes)| outcomes.len()).sum();
                let derived = Derived {
                    sequence: at.sequence,
                    previous: at.previous,
                    observations: observations as u64,
                    root: Digest::root(chunks.iter().map(|chunk| chunk.digest)),
                };
                let header = derived.fill(skeleton);
                Batch::of_chunks(&header, signature, chunks).ok()
            }
        }
    }
}

/// The chunks of these samples, as our agents write them.
fn chunks_of(parts: &[Part<'_>]) -> Option<Vec<Chunk>> {
    let chunk = |(series, outcomes): &Part<'_>| Batch::chunk_of(series, outcomes);
    parts.iter().map(chunk).collect::<Result<_, _>>().ok()
}

/// Whether these are the samples of the batch.
fn are_of(batch: &Batch, parts: &[Part<'_>]) -> bool {
    let chunks = batch.chunks().iter().filter(|chunk| !chunk.is_empty());
    let of_chunks = chunks.map(|chunk| (chunk.series(), chunk.outcomes()));
    let mut parts = parts.iter();
    for (series, outcomes) in of_chunks {
        let Some((of, samples)) = parts.next() else {
            return false;
        };
        if series.as_ref() != Some(*of) || !outcomes.eq(samples.iter().cloned()) {
            return false;
        }
    }
    parts.next().is_none()
}

impl Evidence {
    fn push(&mut self, layout: Layout, received_at: i64, form: Form) -> Option<()> {
        let known = self.layouts.iter().rposition(|known| *known == layout);
        let place = known.unwrap_or_else(|| {
            self.layouts.push(layout);
            self.layouts.len() - 1
        });
        self.layout.push(i64::try_from(place).ok()?);
        self.received_at.push(received_at);
        self.forms.push(form);
        Some(())
    }

    fn write(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        write_number(self.forms.len() as u64, &mut out);
        write_number(self.layouts.len() as u64, &mut out);
        for layout in &self.layouts {
            write_number(layout.len() as u64, &mut out);
            for (place, count) in layout {
                write_number(*place as u64, &mut out);
                write_number(*count as u64, &mut out);
            }
        }
        column::write(&self.layout, &mut out);
        column::write(&self.received_at, &mut out);
        let mut signatures: Vec<u8> = Vec::new();
        let mut before = "";
        for form in &self.forms {
            match form {
                Form::Derived {
                    skeleton,
                    signature,
                } => {
                    write_change(before, skeleton, &mut out);
                    signatures.extend(signature);
                    before = skeleton;
                }
                Form::Verbatim(document) => {
                    out.push(VERBATIM);
                    write_text(std::str::from_utf8(document).ok()?, &mut out);
                }
                Form::Pruned(stub) => {
                    out.push(PRUNED);
                    write_change(before, &stub.skeleton, &mut out);
                    write_number(stub.observations, &mut out);
                    write_number(stub.chunks.len() as u64, &mut out);
                    signatures.extend(stub.signature);
                    signatures.extend(stub.root.as_bytes());
                    for chunk in &stub.chunks {
                        out.push(u8::from(chunk.is_some()));
                        signatures.extend(chunk.iter().flat_map(Digest::as_bytes));
                    }
                    before = &stub.skeleton;
                }
            }
        }
        let mut all = Vec::new();
        write_packed(&out, &mut all);
        all.extend(signatures);
        Some(all)
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        let unpacked = read_packed(&mut bytes)?;
        let mut signatures = bytes;
        let mut bytes = &unpacked[..];
        let count = read_number(&mut bytes).filter(|count| *count <= MAX_BATCHES)?;
        let count = usize::try_from(count).ok()?;
        let mut evidence = Self::default();
        for _ in 0..read_number(&mut bytes)? {
            let mut layout = Layout::new();
            for _ in 0..read_number(&mut bytes)? {
                let place = usize::try_from(read_number(&mut bytes)?).ok()?;
                layout.push((place, usize::try_from(read_number(&mut bytes)?).ok()?));
            }
            evidence.layouts.push(layout);
        }
        evidence.layout = column::read(&mut bytes, count)?;
        evidence.received_at = column::read(&mut bytes, count)?;
        let mut before = String::new();
        for _ in 0..count {
            let kind = take(&mut bytes, 1)?.first().copied()?;
            if kind == VERBATIM {
                let document = read_text(&mut bytes)?.into_bytes();
                evidence.forms.push(Form::Verbatim(document));
                continue;
            }
            if kind == PRUNED {
                if take(&mut bytes, 1)?.first().copied()? == CHANGED {
                    before = read_change(&before, &mut bytes)?;
                }
                let stub = Stub::read(before.clone(), &mut bytes, &mut signatures)?;
                evidence.forms.push(Form::Pruned(Box::new(stub)));
                continue;
            }
            if kind == CHANGED {
                before = read_change(&before, &mut bytes)?;
            }
            let signature = take(&mut signatures, SIGNATURE)?.try_into().ok()?;
            let skeleton = before.clone();
            evidence.forms.push(Form::Derived {
                skeleton,
                signature,
            });
        }
        Some(evidence)
    }
}

/// What follows of a batch.
const SAME: u8 = 0;
const CHANGED: u8 = 1;
const VERBATIM: u8 = 2;
const PRUNED: u8 = 3;

/// Appends how a text differs from the one before: between a common beginning and a common end.
fn write_change(before: &str, text: &str, out: &mut Vec<u8>) {
    if before == text {
        out.push(SAME);
        return;
    }
    let common = |pairs: &mut dyn Iterator<Item = (char, char)>| -> usize {
        let equal = pairs.take_while(|(one, other)| one == other);
        equal.map(|(one, _)| one.len_utf8()).sum()
    };
    let begin = common(&mut before.chars().zip(text.chars()));
    let (_, rest_before) = before.split_at(begin);
    let (_, rest) = text.split_at(begin);
    let end = common(&mut rest_before.chars().rev().zip(rest.chars().rev()));
    let (middle, _) = rest.split_at(rest.len() - end);
    out.push(CHANGED);
    write_number(begin as u64, out);
    write_number(end as u64, out);
    write_text(middle, out);
}

fn read_change(before: &str, bytes: &mut &[u8]) -> Option<String> {
    let begin = usize::try_from(read_number(bytes)?).ok()?;
    let end = usize::try_from(read_number(bytes)?).ok()?;
    let middle = read_text(bytes)?;
    let (begin, _) = before.split_at_checked(begin)?;
    let (_, end) = before.split_at_checked(before.len().checked_sub(end)?)?;
    Some([begin, &middle, end].concat())
}
