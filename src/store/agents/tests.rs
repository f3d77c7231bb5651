//! Who gets in by a ticket, and what an operator may decide.

use super::*;
use crate::store::ledger::tests::{SITE, agent as agent_id, batch_after, key};
use crate::store::tests::store;
use crate::store::{Arrival, Stored};
use crate::wire::batch::Batch;

use ring::signature::KeyPair as _;

const DAY: Duration = Duration::from_hours(24);
const OTHER: &str = "XX-100002/main";

fn ticket(store: &Connected, site: &str, admission: Admission) -> TicketSecret {
    let secret = TicketSecret::random().unwrap();
    store
        .add_ticket(&secret, site, admission, UnixMillis(0), DAY)
        .unwrap();
    secret
}

fn redeem(
    store: &mut Connected,
    secret: &TicketSecret,
    site: &str,
    key: &[u8],
) -> Result<Standing, TicketRefused> {
    let redeemed = store.redeem_ticket(secret, site, key, UnixMillis(1));
    redeemed.unwrap().map(|agent| agent.standing)
}

fn decide(
    store: &mut Connected,
    id: &AgentId,
    decision: Decision<'_>,
) -> Result<Standing, DecisionRefused> {
    let decided = store.decide(id, decision, UnixMillis(9)).unwrap();
    decided.map(|agent| agent.standing)
}

#[test]
fn an_agent_waits_for_an_operator_unless_its_ticket_says_otherwise() {
    let (_folder, mut store) = store();
    let (slow, quick) = ([1; 32], [2; 32]);
    let waits = ticket(&store, SITE, Admission::ByOperator);
    let pending = redeem(&mut store, &waits, SITE, &slow);
    assert_eq!(pending, Ok(Standing::Pending));
    let at_once = ticket(&store, SITE, Admission::AtOnce);
    let approved = redeem(&mut store, &at_once, SITE, &quick);
    assert_eq!(approved, Ok(Standing::Approved));
    let in_turn = store.agents_of_site(SITE).unwrap();
    assert_eq!(in_turn, [AgentId::of_key(&quick).as_str()]);

    let id = AgentId::of_key(&slow);
    let decided = decide(&mut store, &id, Decision::Approve);
    assert_eq!(decided, Ok(Standing::Approved));
    let asked_again = redeem(&mut store, &waits, SITE, &slow);
    assert_eq!(asked_again, Ok(Standing::Approved));
}

#[test]
fn a_ticket_moves_nobody_and_brings_no_revoked_key_back() {
    let (_folder, mut store) = store();
    let first = ticket(&store, SITE, Admission::AtOnce);
    redeem(&mut store, &first, SITE, &[1; 32]).unwrap();
    let elsewhere = ticket(&store, OTHER, Admission::AtOnce);
    let refused = redeem(&mut store, &elsewhere, OTHER, &[1; 32]);
    assert_eq!(refused, Err(TicketRefused::Elsewhere));
    let id = AgentId::of_key(&[1; 32]);
    assert_eq!(store.agent(&id).unwrap().unwrap().site, SITE);
    // Nothing was used up.
    let redeemed = redeem(&mut store, &elsewhere, OTHER, &[2; 32]);
    assert_eq!(redeemed, Ok(Standing::Approved));

    decide(&mut store, &id, Decision::Revoke).unwrap();
    let again = ticket(&store, SITE, Admission::AtOnce);
    for secret in [first, again] {
        let refused = redeem(&mut store, &secret, SITE, &[1; 32]);
        assert_eq!(refused, Err(TicketRefused::Revoked));
    }
    let revoked = decide(&mut store, &id, Decision::Approve);
    assert_eq!(revoked, Err(DecisionRefused::Revoked));
}

#[test]
fn each_standing_has_its_decisions() {
    use Standing::{Approved, Pending, Quarantined, Revoked};
    let about =
        |decision: Decision<'_>| Standing::ALL.map(|standing| decision.about(standing).ok());
    let yes = Some(Approved);
    assert_eq!(about(Decision::Approve), [yes, yes, None, None]);
    assert_eq!(about(Decision::Release), [None, None, yes, None]);
    assert_eq!(about(Decision::Revoke), [Some(Revoked); 4]);
    let moved = [None, yes, Some(Quarantined), None];
    assert_eq!(about(Decision::Move(OTHER)), moved);
    assert_eq!(
        Decision::Release.about(Pending),
        Err(DecisionRefused::Pending)
    );
}

/// An approved agent with the key of the ledger's batches.
fn with_agent() -> (tempfile::TempDir, Connected) {
    let (folder, mut store) = store();
    let secret = ticket(&store, SITE, Admission::AtOnce);
    redeem(&mut store, &secret, SITE, key().public_key().as_ref()).unwrap();
    (folder, store)
}

fn keep(store: &mut Connected, batch: &Batch) -> Stored {
    let arrival = Arrival::of(batch, UnixMillis(5)).unwrap();
    store.append_one(&arrival).unwrap()
}

fn standing(store: &Connected) -> Standing {
    store.agent(&agent_id()).unwrap().unwrap().standing
}

#[test]
fn a_fork_is_quarantine_and_after_the_release_only_a_later_epoch_goes_on() {
    let (_folder, mut store) = with_agent();
    let first = batch_after(None, 95);
    keep(&mut store, &first);
    assert_eq!(standing(&store), Standing::Approved);
    assert_eq!(keep(&mut store, &batch_after(None, 96)), Stored::Fork);
    assert_eq!(standing(&store), Standing::Quarantined);
    let released = decide(&mut store, &agent_id(), Decision::Release);
    assert_eq!(released, Ok(Standing::Approved));

    let duplicate = keep(&mut store, &first);
    assert!(
        matches!(duplicate, Stored::Duplicate { .. }),
        "{duplicate:?}"
    );
    // The batch that was refused comes again: its sender has not heard of that.
    assert_eq!(keep(&mut store, &batch_after(None, 96)), Stored::Fork);
    assert_eq!(standing(&store), Standing::Approved);
    // So comes what follows, whose sender has not heard that it is to begin an epoch.
    let goes_on = batch_after(Some(&first), 97);
    assert_eq!(keep(&mut store, &goes_on), Stored::Fork);
    assert_eq!(standing(&store), Standing::Approved);
    let link = crate::wire::batch::Link {
        collector: first.header().collector.clone(),
        agent: agent_id(),
        site: SITE.to_owned(),
        epoch: 2,
        sequence: 1,
        previous: None,
    };
    let later = Batch::new(&link, &[]).unwrap().signed_with(&key());
    assert_eq!(keep(&mut store, &later), Stored::New);
    // The second box goes on where it was, and is found again.
    assert_eq!(keep(&mut store, &goes_on), Stored::Fork);
    assert_eq!(standing(&store), Standing::Quarantined);
}

#[test]
fn a_moved_agent_is_known_at_its_former_site_and_its_serials_go_on() {
    let (_folder, mut store) = with_agent();
    let id = agent_id();
    assert_eq!(store.former(&id, OTHER).unwrap(), Former::Never);
    store.keep_schedule(SITE, &id, "the first").unwrap();
    for site in [OTHER, SITE, OTHER] {
        let moved = store.decide(&id, Decision::Move(site), UnixMillis(9));
        assert_eq!(moved.unwrap().unwrap().site, site);
        let kept = store.schedule(site, &id).unwrap();
        assert_eq!(kept.as_deref(), Some("the first"));
    }
    assert_eq!(store.former(&id, SITE).unwrap(), Former::Leaving);
    assert_eq!(store.former(&id, OTHER).unwrap(), Former::Leaving);
}

#[test]
fn a_former_site_is_closed_by_what_comes_of_the_new_one() {
    let (_folder, mut store) = with_agent();
    let id = agent_id();
    let first = batch_after(None, 95);
    keep(&mut store, &first);
    let moved = store.decide(&id, Decision::Move(OTHER), UnixMillis(9));
    moved.unwrap().unwrap();
    keep(&mut store, &batch_after(Some(&first), 95));
    assert_eq!(store.former(&id, SITE).unwrap(), Former::Leaving);
    let of_new_site = crate::wire::batch::Link {
        collector: first.header().collector.clone(),
        agent: id.clone(),
        site: OTHER.to_owned(),
        epoch: 2,
        sequence: 1,
        previous: None,
    };
    let arrived = Batch::new(&of_new_site, &[]).unwrap().signed_with(&key());
    let arrival = Arrival::of(&arrived, UnixMillis(10)).unwrap();
    assert_eq!(store.append_one(&arrival).unwrap(), Stored::New);
    assert_eq!(store.former(&id, SITE).unwrap(), Former::Left);
}
