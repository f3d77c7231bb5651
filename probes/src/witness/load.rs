//! How busy the machine and the measuring program are: each processor from `/proc/stat`, each thread from
//! `/proc/self/task`. One saturated core of four is a quarter of the machine, and yet a limit. Pure but for the
//! reading.

use std::collections::HashMap;
use std::time::Duration;

use messnetz_metric::Ppm;
use serde::Serialize;

/// Ticks a second of the times in `/proc` (`USER_HZ`, proc(5)); 100 wherever this program runs.
const TICKS: u64 = 100;

/// Most processors and threads that are looked at.
const MOST: usize = 1024;

/// A processor and how busy it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BusyCore {
    /// Its number, as the kernel counts.
    pub core: u16,
    /// The share of the time in which it was not idle.
    #[serde(rename = "busy_ppm")]
    pub busy: Ppm,
}

/// The times of all processors and of the program's threads up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    cores: Vec<Core>,
    threads: HashMap<u32, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Core {
    number: u16,
    busy: u64,
    all: u64,
}

impl Times {
    /// Those of now; nothing where the kernel does not tell.
    pub(super) fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            cores: cores(&stat),
            threads: threads(),
        }
    }

    /// The processor that was busiest since `before`.
    pub(super) fn busiest_core(&self, before: &Self) -> Option<BusyCore> {
        let shares = self.cores.iter().filter_map(|now| {
            let before = before.cores.iter().find(|one| one.number == now.number)?;
            let busy = now.busy.checked_sub(before.busy)?;
            let all = now.all.checked_sub(before.all)?;
            Some(BusyCore {
                core: now.number,
                busy: Ppm::of(busy, all)?,
            })
        });
        shares.max_by_key(|one| one.busy)
    }
}

/// What each thread had used when it was last seen, and when that was, from the begin: one that has ended is not
/// seen any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Threads(HashMap<u32, (u64, Duration)>);

impl Threads {
    /// Takes over what is seen at this time from the begin.
    pub(super) fn follow(&mut self, seen: &Times, at: Duration) {
        for (&thread, &time) in &seen.threads {
            if self.0.len() < MOST || self.0.contains_key(&thread) {
                self.0.insert(thread, (time, at));
            }
        }
    }

    /// The share of its time in which the thread was at work that was busiest since `before`; of those that were
    /// there for half of `all` at least.
    pub(super) fn busiest(&self, before: &Times, all: Duration) -> Option<Ppm> {
        let shares = self.0.iter().filter_map(|(thread, &(now, at))| {
            // One that is not among the earlier ones began since.
            let before = before.threads.get(thread).copied().unwrap_or_default();
            let busy = now.checked_sub(before)?.saturating_mul(1_000_000 / TICKS);
            let time = u64::try_from(at.as_micros()).ok()?;
            (at >= all / 2).then(|| Ppm::of(busy.min(time), time))?
        });
        shares.max()
    }
}

/// The lines `cpu0 …`, `cpu1 …` of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn cores(stat: &str) -> Vec<Core> {
    let lines = stat.lines().filter_map(|line| {
        let mut fields = line.strip_prefix("cpu")?.split(' ');
        let number = fields.next()?.parse().ok()?;
        let times: Vec<u64> = fields.take(8).map_while(|one| one.parse().ok()).collect();
        let all = times.iter().copied().fold(0, u64::saturating_add);
        let idle = times.iter().skip(3).take(2).copied();
        let busy = all.saturating_sub(idle.fold(0, u64::saturating_add));
        Some(Core { number, busy, all })
    });
    lines.take(MOST).collect()
}

fn threads() -> HashMap<u32, u64> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return HashMap::new();
    };
    let times = tasks.filter_map(|task| {
        let task = task.ok()?;
        let thread = task.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        Some((thread, ticks(&stat)?))
    });
    times.take(MOST).collect()
}

/// Time of a thread in its own code and in the kernel's for it: fields 14 and 15 of its `stat` (proc(5)). The name
/// in field 2 may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(stat: &str, threads: &[(u32, u64)]) -> Times {
        Times {
            cores: cores(stat),
            threads: threads.iter().copied().collect(),
        }
    }

    #[test]
    fn one_saturated_core_of_four_is_seen() {
        let before = "cpu  40 0 0 400 0 0 0 0 0 0\ncpu0 10 0 0 100 0 0 0 0 0 0\ncpu1 10 0 0 100 0 0 0 0 0 0\n\
                      cpu2 10 0 0 100 0 0 0 0 0 0\ncpu3 10 0 0 100 0 0 0 0 0 0\nintr 5 cpu9\n";
        let after = before.replace("cpu2 10 0 0 100 0 0 0", "cpu2 40 0 10 103 0 0 57");
        let after = after.replace("cpu3 10 0 0 100", "cpu3 11 0 0 199");
        let busiest = times(&after, &[]).busiest_core(&times(before, &[]));
        let expected = BusyCore {
            core: 2,
            busy: Ppm::from_ppm(970_000),
        };
        assert_eq!(busiest, Some(expected));
        assert_eq!(times("", &[]).busiest_core(&times(before, &[])), None);
    }

    #[test]
    fn waiting_for_the_disk_is_no_work() {
        let core = cores("cpu0 1 2 3 40 50 6 7 8 0 0").pop().unwrap();
        assert_eq!((core.busy, core.all), (27, 117));
    }

    #[test]
    fn the_busiest_thread_counts_even_where_it_began_and_ended_during_the_test() {
        let before = times("", &[(1, 50), (2, 90)]);
        let mut threads = Threads::default();
        threads.follow(&times("", &[(9, 50)]), Duration::from_millis(500));
        threads.follow(&times("", &[(1, 60), (7, 180)]), Duration::from_secs(2));
        // It has ended, and the others have gone on.
        threads.follow(&times("", &[(1, 70), (2, 99)]), Duration::from_secs(3));
        let busiest = threads.busiest(&before, Duration::from_secs(3));
        assert_eq!(busiest, Some(Ppm::from_ppm(900_000)));
        let none = Threads::default().busiest(&before, Duration::from_secs(1));
        assert_eq!(none, None);
    }

    #[test]
    fn a_thread_whose_name_looks_like_fields_is_read_all_the_same() {
        let stat = "12 (a) 9 9 (b)) S 1 1 1 0 -1 64 1 0 0 0 250 31 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(281));
        for broken in [
            "",
            "12 (a",
            "12 (a) S 1",
            "12 (a) S 1 1 1 0 -1 64 1 0 0 0 x 31",
        ] {
            assert_eq!(ticks(broken), None, "{broken}");
        }
    }

    #[test]
    fn this_machine_has_a_core_and_this_program_a_thread() {
        let now = Times::now();
        assert!(!now.cores.is_empty() && !now.threads.is_empty());
    }
}
