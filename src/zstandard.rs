//! Packing and unpacking with zstd by contexts that are used again: a new one costs more than a batch.

use std::io::{self, Read as _};
use std::sync::{Mutex, PoisonError};

use zstd::bulk::Compressor;
use zstd::zstd_safe::{DCtx, DParameter, ResetDirective, get_error_name};

/// Most contexts that are kept for the next who needs one.
const IDLE: usize = 16;

/// A context that has grown beyond this, in bytes, is not kept: whoever sends chooses how large its window is.
const KEPT: usize = 1024 * 1024;

static UNPACKING: Mutex<Vec<DCtx<'static>>> = Mutex::new(Vec::new());

/// Each with its level.
static PACKING: Mutex<Vec<(i32, Compressor<'static>)>> = Mutex::new(Vec::new());

/// Unpacks what may be anything, never beyond `most` bytes and one more, with a window of two to the power of
/// `window_log` bytes at most.
///
/// # Errors
/// Where it is not packed with zstd, or breaks off.
pub(crate) fn unpack(packed: &[u8], most: usize, window_log: u32) -> io::Result<Vec<u8>> {
    with_unpacking(|context| {
        let window = DParameter::WindowLogMax(window_log);
        context.set_parameter(window).map_err(refused)?;
        // Mostly enough, and never much more than what comes.
        let mut unpacked = Vec::with_capacity(packed.len().saturating_mul(4).min(most + 1));
        zstd::stream::read::Decoder::with_context(packed, context)
            .take(most as u64 + 1)
            .read_to_end(&mut unpacked)?;
        Ok(unpacked)
    })
}

/// Unpacks what this program packed, of a length that it has kept.
///
/// # Errors
/// Where it is longer, or not packed with zstd.
pub(crate) fn unpack_to(packed: &[u8], length: usize) -> io::Result<Vec<u8>> {
    with_unpacking(|context| {
        let mut unpacked = Vec::with_capacity(length);
        context.decompress(&mut unpacked, packed).map_err(refused)?;
        Ok(unpacked)
    })
}

/// Packs.
///
/// # Errors
/// Where there is no memory for it.
pub(crate) fn pack(bytes: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let idle = || PACKING.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = {
        let mut idle = idle();
        let place = idle.iter().position(|(of, _)| *of == level);
        place.map(|place| idle.swap_remove(place).1)
    };
    let mut compressor = match kept {
        Some(kept) => kept,
        None => Compressor::new(level)?,
    };
    let packed = compressor.compress(bytes)?;
    let mut idle = idle();
    if idle.len() < IDLE {
        idle.push((level, compressor));
    }
    Ok(packed)
}

fn with_unpacking<T>(unpack: impl FnOnce(&mut DCtx<'static>) -> io::Result<T>) -> io::Result<T> {
    let idle = || UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = idle().pop();
    let mut context = kept.unwrap_or_default();
    let unpacked = unpack(&mut context);
    // Whatever was begun is over, and nobody's bounds stay.
    let reset = context.reset(ResetDirective::SessionAndParameters);
    let mut idle = idle();
    if reset.is_ok() && context.sizeof() <= KEPT && idle.len() < IDLE {
        idle.push(context);
    }
    unpacked
}

fn refused(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_was_given_up_in_the_middle_serves_the_next() {
        let long = pack(&vec![7; 1_000_000], 1).unwrap();
        let short = pack(b"short", 1).unwrap();
        for _ in 0..3 {
            assert_eq!(unpack(&long, 1_000, 22).unwrap().len(), 1_001);
            assert!(unpack(&long[..long.len() / 2], 2_000_000, 22).is_err());
            assert!(unpack(b"nothing that was packed", 1_000, 22).is_err());
            assert_eq!(unpack(&short, 1_000, 22).unwrap(), b"short");
            assert_eq!(unpack_to(&short, 5).unwrap(), b"short");
            assert!(unpack_to(&long, 1_000).is_err());
        }
    }

    #[test]
    fn contexts_that_grew_are_not_kept() {
        use std::io::Write as _;
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(22).unwrap();
        encoder.write_all(&vec![b' '; 8 << 20]).unwrap();
        let large = encoder.finish().unwrap();
        assert_eq!(unpack(&large, 8 << 20, 22).unwrap().len(), 8 << 20);
        let kept = UNPACKING.lock().unwrap();
        assert!(kept.iter().all(|context| context.sizeof() <= KEPT));
    }
}
