//! What is said of paths that limit their answers, and of those that lose.

use std::net::Ipv4Addr;

use messnetz_metric::Micros;
use proptest::prelude::*;

use super::super::{Answer, Says};
use super::*;

/// A path of hops that answered so many of ten packets each, one millisecond apart.
fn path(answered: &[u8]) -> Vec<Hop> {
    let hops = (1..).zip(answered).map(|(number, answered)| Hop {
        hop: number,
        sent: 10,
        answers: (1..=*answered)
            .map(|milli| Answer {
                from: Ipv4Addr::new(10, 0, 0, number).into(),
                rtt: Micros::from_micros(u64::from(milli) * 1000),
                says: Says::Expired,
            })
            .collect(),
    });
    hops.collect()
}

fn standings(answered: &[u8], end: End) -> Vec<Standing> {
    let (hops, _) = judge(path(answered), end, Method::Icmp);
    hops.iter().map(|hop| hop.standing).collect()
}

fn loss(answered: &[u8]) -> Option<PathLoss> {
    judge(path(answered), End::Reached, Method::Icmp).1
}

#[test]
fn a_hop_that_answers_less_than_a_later_one_limits_its_answers_and_loses_nothing() {
    use Standing::{RateLimitedAnswers, Whole};
    let answered = [10, 4, 0, 10];
    assert_eq!(
        standings(&answered, End::Reached),
        [Whole, RateLimitedAnswers, RateLimitedAnswers, Whole]
    );
    let loss = loss(&answered).unwrap();
    assert_eq!((loss.lost, loss.sent, loss.from_hop), (0, 10, None));
}

#[test]
fn loss_begins_at_the_first_hop_from_which_it_goes_on_to_the_target() {
    use Standing::{Losing, RateLimitedAnswers, Whole};
    let answered = [10, 3, 8, 5, 8, 7];
    assert_eq!(
        standings(&answered, End::Reached),
        [
            Whole,
            RateLimitedAnswers,
            Losing,
            RateLimitedAnswers,
            Losing,
            Losing
        ]
    );
    let loss = loss(&answered).unwrap();
    assert_eq!((loss.lost, loss.sent, loss.from_hop), (3, 10, Some(3)));
    assert_eq!(loss.share, Ppm::from_ppm(300_000));
}

#[test]
fn a_target_that_does_not_answer_leaves_open_what_is_lost() {
    use Standing::{RateLimitedAnswers, Unknown, Whole};
    let answered = [10, 5, 8, 0];
    assert_eq!(
        standings(&answered, End::Unknown),
        [Whole, RateLimitedAnswers, Unknown, Unknown]
    );
    assert_eq!(judge(path(&answered), End::Unknown, Method::Icmp).1, None);
}

#[test]
fn loss_told_by_error_messages_is_an_upper_bound_unless_there_is_none() {
    let certainty = |answered, method| {
        let (_, loss) = judge(path(&[10, answered]), End::Reached, method);
        loss.unwrap().certainty
    };
    assert_eq!(certainty(6, Method::Udp), Certainty::AtMost);
    assert_eq!(certainty(10, Method::Udp), Certainty::Measured);
    assert_eq!(certainty(6, Method::Icmp), Certainty::Measured);
}

#[test]
fn a_hop_has_its_best_median_and_worst_round_trip_and_one_that_nothing_was_sent_to_has_no_share() {
    let mut hops = path(&[3, 10]);
    hops.insert(
        1,
        Hop {
            hop: 9,
            sent: 0,
            answers: Vec::new(),
        },
    );
    let (told, _) = judge(hops, End::Reached, Method::Icmp);
    let rtt = told[0].rtt.unwrap();
    let millis = [rtt.min, rtt.median, rtt.max].map(|time| time.as_micros() / 1000);
    assert_eq!(millis, [1, 2, 3]);
    assert_eq!(
        (told[0].answered, told[0].loss),
        (3, Some(Ppm::from_ppm(700_000)))
    );
    assert_eq!((told[1].loss, told[1].rtt), (None, None));
}

proptest! {
    #[test]
    fn the_path_never_loses_more_than_its_target_nor_than_any_hop_that_loses(
        answered in proptest::collection::vec(0u8..=10, 1..20),
        last in 1u8..=10,
    ) {
        let all = [answered, vec![last]].concat();
        let (hops, loss) = judge(path(&all), End::Reached, Method::Icmp);
        let loss = loss.unwrap();
        prop_assert!(loss.share <= hops.last().unwrap().loss.unwrap());
        prop_assert_eq!(loss.lost == 0, loss.from_hop.is_none());
        let mut before = Ppm::from_ppm(0);
        for hop in hops.iter().filter(|hop| hop.standing == Standing::Losing) {
            // From where it begins it grows up to the target, and never beyond what the target loses.
            prop_assert!(before <= hop.loss.unwrap() && hop.loss.unwrap() <= loss.share);
            prop_assert!(loss.from_hop.unwrap() <= hop.hop.hop);
            before = hop.loss.unwrap();
        }
        for (place, hop) in hops.iter().enumerate() {
            let better = hops[place + 1..].iter().any(|later| later.answered > hop.answered);
            prop_assert_eq!(hop.standing == Standing::RateLimitedAnswers, better);
        }
    }
}
