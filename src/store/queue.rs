//! The queue of verified batches before the one connection that writes: all that waits is one transaction.
//!
//! A commit waits for the disk, and the batches that came meanwhile are the next transaction. So however
//! slow the disk is, it is asked once for all of them, and nobody is answered before his batch is on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Arrival, Connected, StoreError, Stored};

/// Most memory that batches take while they wait, in KiB.
const ROOM_KIB: usize = 32 * 1024;

/// Most batches that wait.
const PLACES: usize = 4_096;

/// Most batches of one transaction.
const GROUP: usize = 512;

/// Too much waits to be stored already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many batches wait to be stored; send this one again in a few seconds")]
pub struct Full;

/// A batch that waits for its transaction.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Stored, StoreError>>);

impl Pending {
    /// What became of the batch, once that is on the disk.
    ///
    /// # Errors
    /// Where the store fails; then nothing of the batch is stored.
    pub async fn stored(self) -> Result<Stored, StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Closed))
    }
}

#[derive(Debug)]
struct Waiting {
    arrival: Arrival,
    answer: oneshot::Sender<Result<Stored, StoreError>>,
    _room: OwnedSemaphorePermit,
}

/// The queue and the thread that empties it, which ends with it.
#[derive(Debug)]
pub(super) struct Queue {
    /// `None` only while it is dropped.
    sender: Option<mpsc::Sender<Waiting>>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    pub(super) fn before(writing: Arc<Mutex<Connected>>) -> Self {
        let (sender, receiver) = mpsc::channel(PLACES);
        Self {
            sender: Some(sender),
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            thread: Some(thread::spawn(move || write_all(receiver, &writing))),
        }
    }

    pub(super) fn submit(&self, arrival: Arrival) -> Result<Pending, Full> {
        let kib = u32::try_from(arrival.size() / 1024 + 1).map_err(|_| Full)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            arrival,
            answer,
            _room: room.map_err(|_| Full)?,
        };
        let sender = self.sender.as_ref().ok_or(Full)?;
        sender.try_send(waiting).map_err(|_| Full)?;
        Ok(Pending(answered))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It ends by itself; had it panicked, those who wait were told.
            let _ = thread.join();
        }
    }
}

fn write_all(mut receiver: mpsc::Receiver<Waiting>, writing: &Mutex<Connected>) {
    while let Some(first) = receiver.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = receiver.try_recv()
        {
            group.push(next);
        }
        // Every change is a transaction: a panic in between leaves the store whole.
        let mut connected = writing.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut connected, group);
    }
}

fn write(connected: &mut Connected, group: Vec<Waiting>) {
    let (arrivals, answers): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|waiting| (waiting.arrival, waiting.answer))
        .unzip();
    let outcomes: Vec<Result<Stored, StoreError>> = match connected.append(&arrivals) {
        Ok(stored) => stored.into_iter().map(Ok).collect(),
        // One that cannot be stored must not keep the others out for ever.
        Err(StoreError::Damaged { .. }) => arrivals
            .iter()
            .map(|one| connected.append_one(one))
            .collect(),
        Err(error) => {
            let error = Arc::new(error);
            let failed = |_: &Arrival| Err(StoreError::Group(Arc::clone(&error)));
            arrivals.iter().map(failed).collect()
        }
    };
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // Whoever asked may have left; the batch is stored all the same.
        let _ = answer.send(outcome);
    }
}
