//! How often something may be asked for: so often by each source, and so often in all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use messnetz_probes::places::Source;

/// So many at once, and one more after each pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// How many at once.
    pub(super) burst: u32,
    /// How long one more takes to be allowed.
    pub(super) every: Duration,
}

/// When the last of what was asked for will be paid off. A bucket is empty while that is past.
type PaidAt = Instant;

impl Rate {
    /// What a bucket becomes by one more; how long to wait where it is full.
    fn one_more(self, paid: Option<PaidAt>, now: Instant) -> Result<PaidAt, Duration> {
        let from = paid.unwrap_or(now).max(now);
        let next = from + self.every;
        let most = self.every * self.burst;
        match next.duration_since(now).checked_sub(most) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(next),
        }
    }
}

/// Counts what is asked for.
#[derive(Debug)]
pub(super) struct Turnstile {
    each: Rate,
    all: Rate,
    by_source: HashMap<Source, PaidAt>,
    paid: Option<PaidAt>,
}

impl Turnstile {
    /// So often each, and so often in all.
    pub(super) fn new(each: Rate, all: Rate) -> Self {
        Self {
            each,
            all,
            by_source: HashMap::new(),
            paid: None,
        }
    }

    /// Lets one more through; tells how long to wait where it is too much. What was turned away costs nothing.
    /// A source is kept only until it is paid off, so that no more are kept than all may ask for in that time.
    pub(super) fn pass(&mut self, source: Source, now: Instant) -> Result<(), Duration> {
        self.by_source.retain(|_, paid| *paid > now);
        let of_source = self.by_source.get(&source).copied();
        let of_source = self.each.one_more(of_source, now)?;
        self.paid = Some(self.all.one_more(self.paid, now)?);
        self.by_source.insert(source, of_source);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn source(host: u8) -> Source {
        Source::from(IpAddr::from([192, 0, 2, host]))
    }

    fn turnstile() -> Turnstile {
        let rate = |burst| Rate {
            burst,
            every: SECOND,
        };
        Turnstile::new(rate(2), rate(4))
    }

    #[test]
    fn a_source_may_ask_so_often_and_again_after_a_while() {
        let (mut turnstile, now) = (turnstile(), Instant::now());
        assert_eq!(turnstile.pass(source(1), now), Ok(()));
        assert_eq!(turnstile.pass(source(1), now), Ok(()));
        assert_eq!(turnstile.pass(source(1), now), Err(SECOND));
        assert_eq!(turnstile.pass(source(2), now), Ok(()), "another source");
        assert_eq!(turnstile.pass(source(1), now + SECOND), Ok(()));
        let after = turnstile.pass(source(1), now + SECOND * 3 / 2);
        assert_eq!(after, Err(SECOND / 2));
    }

    #[test]
    fn all_together_may_ask_so_often() {
        let (mut turnstile, now) = (turnstile(), Instant::now());
        for host in 1..=4 {
            assert_eq!(turnstile.pass(source(host), now), Ok(()));
        }
        assert_eq!(turnstile.pass(source(5), now), Err(SECOND));
        assert_eq!(turnstile.pass(source(5), now + SECOND), Ok(()));
    }

    #[test]
    fn nobody_is_remembered_longer_than_needed() {
        let (mut turnstile, now) = (turnstile(), Instant::now());
        for second in 0..200 {
            let at = now + SECOND * second;
            let _ = turnstile.pass(source(u8::try_from(second).unwrap()), at);
            assert!(turnstile.by_source.len() <= 4);
        }
    }
}
