//! What a profile takes over from another one, and what it changes in it.
//!
//! A profile that `extends` another has all of its targets under its own name. Its own `[[target]]` and
//! `[[inventory]]` of the same id take the place of the inherited ones; an `[[override]]` changes single
//! keys and inherits the rest. Both may be meant for `forms` or for `schools` alone, and then hold only
//! there. What is changed has the source that the override states, or else the profile's own: a number that
//! a council has decided is no longer the number of the document that it replaces.

use super::applies::Named;
use super::profile::{
    Flaw, applies, capped, flaw_of_cap, flaw_of_confidence, flaw_of_min_days, flaw_of_min_samples,
    flaw_of_source, least_days, target_id,
};
use super::written::WrittenOverride;
use super::{Applies, Demand, InventoryTarget, Origin, Profile, ProfileId, Target, TargetId};
use crate::source::Source;
use crate::toml_file::{Document, Problem};

/// A profile's own targets, each with its place in the file.
#[derive(Default)]
pub(super) struct Own {
    pub(super) targets: Vec<(usize, Target)>,
    pub(super) inventory: Vec<(usize, InventoryTarget)>,
}

/// What a profile holds in the end.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) targets: Vec<Target>,
    pub(super) inventory: Vec<InventoryTarget>,
}

impl Own {
    /// Targets of one name that say something of the same schools with the same right.
    pub(super) fn collisions(&self, document: Document<'_>) -> Vec<Problem> {
        let measured = self
            .targets
            .iter()
            .map(|(at, t)| (*at, &t.id, &t.applies, 0));
        let stated = self
            .inventory
            .iter()
            .map(|(at, t)| (*at, &t.id, &t.applies, 1));
        let all: Vec<(usize, &TargetId, &Applies, u8)> = measured.chain(stated).collect();
        let mut problems = Vec::new();
        for (index, (at, id, applies, kind)) in all.iter().enumerate() {
            let collides = all[..index].iter().any(|(_, other_id, other, other_kind)| {
                other_id == id && (other_kind != kind || applies.collides(other))
            });
            if collides {
                let name = own_name(id);
                let message = format!(
                    "the profile has two targets `{name}` for the same schools (say with `forms` or `schools` which each is meant for)"
                );
                problems.push(document.problem(*at, Some("id"), message));
            }
        }
        problems
    }
}

/// Puts a profile together from its base, its own targets and its overrides.
pub(super) fn extend(
    document: Document<'_>,
    profile: &ProfileId,
    source: &Source,
    base: Option<&Profile>,
    own: Own,
    overrides: Vec<WrittenOverride>,
) -> Result<Kept, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut kept = Kept::default();
    if let Some(base) = base {
        let rebased = |id: &TargetId| target_id(profile, own_name(id));
        for target in &base.targets {
            let Ok(id) = rebased(&target.id) else {
                continue;
            };
            kept.targets.push(Target {
                id,
                ..target.clone()
            });
        }
        for target in &base.inventory {
            let Ok(id) = rebased(&target.id) else {
                continue;
            };
            kept.inventory.push(InventoryTarget {
                id,
                ..target.clone()
            });
        }
    }
    replace(&mut kept.targets, own.targets);
    replace(&mut kept.inventory, own.inventory);
    let inherited = Kept {
        targets: kept.targets.clone(),
        inventory: kept.inventory.clone(),
    };
    let mut meant = Vec::new();
    for mut written in overrides {
        match applies(written.forms.take(), written.schools.take()) {
            Ok(applies) => meant.push((applies, written)),
            Err(flaw) => {
                problems.push(document.problem(flaw.offset, Some(flaw.field), flaw.message));
            }
        }
    }
    problems.extend(contradictions(document, &meant));
    // What is meant for all changes the inherited targets of single forms too, which an override of that
    // form then replaces: wherever it stands in the file.
    meant.sort_by_key(|(applies, _)| *applies != Applies::All);
    for (applies, written) in meant {
        if let Err(problem) = inherited.change(&mut kept, document, source, &applies, &written) {
            problems.push(problem);
        }
    }
    if problems.is_empty() {
        Ok(kept)
    } else {
        Err(problems)
    }
}

/// Overrides of one target for the same schools, of which only one could hold.
fn contradictions(
    document: Document<'_>,
    overrides: &[(Applies, WrittenOverride)],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, (applies, written)) in overrides.iter().enumerate() {
        let name = &written.target;
        let earlier = overrides[..index]
            .iter()
            .find(|(other, earlier)| earlier.target == *name && applies.collides(other));
        if let Some((_, earlier)) = earlier {
            let line = document.line(earlier.target.span().start);
            let word: String = name.get_ref().chars().take(80).collect();
            let message = format!(
                "line {line} overrides `{word}` for the same schools already (write one [[override]] with both changes, or say with `forms` or `schools` which each is meant for)"
            );
            problems.push(document.problem(name.span().start, Some("target"), message));
        }
    }
    problems
}

/// The part of an id that names the target within its profile.
fn own_name(id: &TargetId) -> &str {
    id.as_str().split_once('/').map_or("", |(_, name)| name)
}

/// Lets targets take the place of inherited ones. One that is meant for all schools replaces everything of
/// its name.
fn replace<T: Part>(kept: &mut Vec<T>, own: Vec<(usize, T)>) {
    for (_, target) in &own {
        if *target.applies() == Applies::All {
            kept.retain(|known| known.id() != target.id());
        }
    }
    for (_, target) in own {
        supersede(kept, target);
    }
}

/// Adds a target and takes the schools that it is meant for away from those of the same name and right.
fn supersede<T: Part>(kept: &mut Vec<T>, target: T) {
    let place = kept.iter().rposition(|known| known.id() == target.id());
    let mut place = place.map_or(kept.len(), |place| place + 1);
    let mut index = 0;
    while index < kept.len() {
        if kept[index].id() == target.id() {
            if let Some(rest) = kept[index].applies().without(target.applies()) {
                kept[index].set_applies(rest);
            } else {
                kept.remove(index);
                place -= usize::from(index < place);
                continue;
            }
        }
        index += 1;
    }
    kept.insert(place, target);
}

/// A target whose schools can be changed.
trait Part: Named + Clone {
    fn set_applies(&mut self, applies: Applies);
}

impl Part for Target {
    fn set_applies(&mut self, applies: Applies) {
        self.applies = applies;
    }
}

impl Part for InventoryTarget {
    fn set_applies(&mut self, applies: Applies) {
        self.applies = applies;
    }
}

impl Kept {
    /// Makes the change that an override asks for in `kept`; what it inherits is looked up here, so that
    /// overrides do not build on one another.
    fn change(
        &self,
        kept: &mut Self,
        document: Document<'_>,
        source: &Source,
        meant: &Applies,
        written: &WrittenOverride,
    ) -> Result<(), Problem> {
        let problem = |flaw: Flaw| document.problem(flaw.offset, Some(flaw.field), flaw.message);
        let name = &written.target;
        let flaws = [
            flaw_of_source(written.source.as_ref()),
            flaw_of_cap(written.cap.as_ref()),
            flaw_of_confidence(written.confidence.as_ref()),
        ];
        if let Some(flaw) = flaws.into_iter().flatten().next() {
            return Err(problem(flaw));
        }
        let new_source = match (&written.source, written.changes_a_number()) {
            (Some(source), _) => Some(source.get_ref().clone()),
            (None, true) => Some(source.clone()),
            (None, false) => None,
        };
        let is_named = |id: &TargetId| own_name(id) == name.get_ref().as_str();
        let measured: Vec<&Target> = self.targets.iter().filter(|t| is_named(&t.id)).collect();
        let stated: Vec<&InventoryTarget> =
            self.inventory.iter().filter(|t| is_named(&t.id)).collect();
        if measured.is_empty() && stated.is_empty() {
            let ids = self.targets.iter().map(|target| &target.id);
            let ids = ids.chain(self.inventory.iter().map(|target| &target.id));
            let mut known: Vec<&str> = ids.map(own_name).collect();
            known.dedup();
            let message = if known.is_empty() {
                "there is nothing to override: the profile extends none".to_owned()
            } else {
                let word: String = name.get_ref().chars().take(80).collect();
                format!(
                    "there is no target `{word}` to override (known: {})",
                    known.join(", ")
                )
            };
            let at = name.span().start;
            return Err(document.misspelt(at, name.get_ref(), message, &known));
        }
        if stated.is_empty() {
            for base in
                bases(&measured, meant).map_err(|why| problem(Flaw::new(name, "target", why)))?
            {
                let changed = changed(base, written, meant, new_source.as_ref());
                let of_days = written.min_days.as_ref();
                let flaw = of_days
                    .and_then(|days| flaw_of_min_days(&changed, days))
                    .or_else(|| flaw_of_min_samples(&changed, name));
                if let Some(flaw) = flaw {
                    return Err(problem(flaw));
                }
                supersede(&mut kept.targets, changed);
            }
        } else {
            let of_series = written.cap.is_some()
                || written.window.is_some()
                || written.statistic.is_some()
                || written.confidence.is_some()
                || written.min_samples.is_some()
                || written.min_days.is_some();
            let of_check = written.formula.is_some()
                && stated.iter().any(|target| target.demand == Demand::Present);
            if of_series || of_check {
                let message = "an inventory target has no cap, window, statistic, confidence, min_samples or min_days, and the item of a checklist no formula";
                return Err(problem(Flaw::new(name, "target", message)));
            }
            for base in
                bases(&stated, meant).map_err(|why| problem(Flaw::new(name, "target", why)))?
            {
                let changed = changed_inventory(base, written, meant, new_source.as_ref());
                supersede(&mut kept.inventory, changed);
            }
        }
        Ok(())
    }
}

impl WrittenOverride {
    /// Whether the threshold or what it is held against is another one than the base's source states.
    fn changes_a_number(&self) -> bool {
        self.formula.is_some() || self.cap.is_some() || self.statistic.is_some()
    }
}

/// The inherited targets that an override changes: all of the name where it is meant for all schools,
/// otherwise the one that is meant for all that the override is meant for.
fn bases<'a, T: Part>(named: &[&'a T], meant: &Applies) -> Result<Vec<&'a T>, &'static str> {
    if *meant == Applies::All {
        return Ok(named.to_vec());
    }
    let closest = named
        .iter()
        .filter(|base| *base.applies() != Applies::All && base.applies().covers(meant));
    let widest = named.iter().filter(|base| *base.applies() == Applies::All);
    let found = closest.chain(widest).next();
    match (found, named) {
        (Some(base), _) => Ok(vec![base]),
        (None, [only]) => Ok(vec![only]),
        (None, _) => Err(
            "several targets of this name could be meant: override each with its own `forms`, or state the target whole in [[target]]",
        ),
    }
}

fn changed(
    base: &Target,
    written: &WrittenOverride,
    meant: &Applies,
    source: Option<&Source>,
) -> Target {
    let mut target = base.clone();
    if let Some(formula) = &written.formula {
        target.formula = formula.clone();
        // A cap belongs to the rule that it was stated with.
        target.cap = None;
    }
    if let Some(cap) = &written.cap {
        target.cap = Some(capped(cap.clone(), target.metric, target.factor));
    }
    if let Some(window) = &written.window {
        target.window = Some(window.clone());
    }
    if let Some(statistic) = &written.statistic {
        target.statistic = *statistic.get_ref();
        target.statistic_origin = Origin::Source;
    }
    if let Some(confidence) = &written.confidence {
        target.confidence = *confidence.get_ref();
    }
    if let Some(min_samples) = &written.min_samples {
        target.min_samples = *min_samples.get_ref();
    }
    let least = least_days(&target);
    target.min_days = match (&written.min_days, &written.statistic) {
        (Some(days), _) => *days.get_ref(),
        // The inherited days were those of the old statistic.
        (None, Some(_)) => least,
        // Another confidence may need more days.
        (None, None) => target.min_days.max(least),
    };
    if let Some(title) = &written.title {
        target.title = title.clone();
    }
    if let Some(source) = source {
        target.source = source.clone();
    }
    if *meant != Applies::All {
        target.applies = meant.clone();
    }
    target
}

fn changed_inventory(
    base: &InventoryTarget,
    written: &WrittenOverride,
    meant: &Applies,
    source: Option<&Source>,
) -> InventoryTarget {
    let mut target = base.clone();
    if let (Demand::Number { op, .. }, Some(formula)) = (&base.demand, &written.formula) {
        target.demand = Demand::Number {
            op: *op,
            formula: formula.clone(),
        };
    }
    if let Some(title) = &written.title {
        target.title = title.clone();
    }
    if let Some(source) = source {
        target.source = source.clone();
    }
    if *meant != Applies::All {
        target.applies = meant.clone();
    }
    target
}
