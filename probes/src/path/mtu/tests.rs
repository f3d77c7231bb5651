//! The search over simulated paths, in virtual time.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const TIMEOUT: Moment = Duration::from_secs(1);

/// A path for packets of up to `mtu` bytes.
#[derive(Clone, Copy, Debug)]
struct Line {
    interface: u16,
    mtu: u16,
    /// What the router in front of the narrow line says to those that are too big for it.
    says: Option<u32>,
    /// Each of so many packets is lost, whatever its size.
    loses_each: Option<u16>,
}

const LINE: Line = Line {
    interface: 1500,
    mtu: 1500,
    says: None,
    loses_each: None,
};

fn search(line: Line) -> Result<PathMtu, Failure> {
    let mut search = Search::new(&TARGET, TIMEOUT);
    let mut now = Moment::ZERO;
    while !search.is_complete() {
        if let Some(Ask { number, size }) = search.poll_transmit(now) {
            let soon = now + Duration::from_millis(5);
            if size > line.interface {
                search.too_big_here(line.interface.into());
            } else if line
                .loses_each
                .is_some_and(|each| number % each == each - 1)
            {
                // Nothing comes.
            } else if size <= line.mtu {
                search.passed(Some(number), soon);
            } else if let Some(mtu) = line.says {
                search.too_big(Some(number), ROUTER, mtu, soon);
            }
        }
        now = now.max(search.poll_timeout());
        assert!(now < Duration::from_mins(20), "{search:?}");
    }
    search.finish(TARGET)
}

fn found(line: Line) -> (u16, Limit) {
    let found = search(line).unwrap();
    assert_eq!(found.interface, Some(line.interface));
    (found.mtu, found.limit)
}

#[test]
fn a_path_as_wide_as_the_interface_is_limited_by_that_alone() {
    assert_eq!(found(LINE), (1500, Limit::Interface));
}

#[test]
fn a_router_that_says_so_is_told_from_a_black_hole() {
    let narrow = Line { mtu: 1400, ..LINE };
    assert_eq!(found(narrow), (1400, Limit::BlackHole));
    let says = Some(1400);
    let told = Limit::Router { by: ROUTER };
    assert_eq!(found(Line { says, ..narrow }), (1400, told));
    // RFC 1191, section 5: old routers tell no size.
    let says = Some(0);
    assert_eq!(found(Line { says, ..narrow }), (1400, told));
}

#[test]
fn a_size_that_is_told_and_does_not_pass_is_a_black_hole() {
    let lies = Line {
        mtu: 1350,
        says: None,
        ..LINE
    };
    let mut search = Search::new(&TARGET, TIMEOUT);
    let mut now = Moment::ZERO;
    while !search.is_complete() {
        if let Some(Ask { number, size }) = search.poll_transmit(now) {
            if size > 1450 {
                search.too_big(Some(number), ROUTER, 1450, now);
            } else if size <= lies.mtu {
                search.passed(Some(number), now);
            }
        }
        now = now.max(search.poll_timeout());
    }
    let found = search.finish(TARGET).unwrap();
    assert_eq!((found.mtu, found.limit), (1350, Limit::BlackHole));
}

#[test]
fn a_target_that_does_not_answer_has_no_path_mtu() {
    let dead = Line { mtu: 100, ..LINE };
    assert_eq!(search(dead).unwrap_err().reason, FailureReason::Timeout);
}

proptest! {
    #[test]
    fn the_largest_size_that_passes_is_found(
        interface in 576_u16..u16::MAX, narrower in 0_u16..=u16::MAX, says in prop::option::of(any::<u32>())
    ) {
        let mtu = (interface - narrower.min(interface)).max(576);
        prop_assert_eq!(found(Line { interface, mtu, says: says.map(|_| u32::from(mtu)), ..LINE }).0, mtu);
        // Whatever a router says, it is never believed beyond what passes.
        let found = found(Line { interface, mtu, says, ..LINE });
        prop_assert!(found.0 <= mtu);
    }

    #[test]
    fn single_losses_do_not_make_a_black_hole(each in 3_u16..20) {
        let line = Line { loses_each: Some(each), ..LINE };
        prop_assert_eq!(found(line), (1500, Limit::Interface));
    }

    #[test]
    fn no_order_of_events_makes_it_panic(
        events in prop::collection::vec((0_u8..4, 0_u16..20, any::<u32>(), 0_u64..60_000), 0..100)
    ) {
        let mut search = Search::new(&TARGET, TIMEOUT);
        for (kind, number, mtu, millis) in events {
            let now = Duration::from_millis(millis);
            match kind {
                0 => {
                    let _ = search.poll_transmit(now);
                }
                1 => search.passed(Some(number), now),
                2 => search.too_big(None, ROUTER, mtu, now),
                _ => search.too_big_here(mtu),
            }
        }
        let _ = search.finish(TARGET);
    }
}
