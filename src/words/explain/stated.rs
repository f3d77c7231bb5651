//! Wording the chain of an inventory target: from the document to what is stated, by whom and of which day.

use messnetz_sites::formula::NotAssessable;
use messnetz_sites::target::{ItemKind, Operator};
use messnetz_sites::verdict::{InventoryVerdict, ItemValue, Lacking, Whose};

use super::Step;
use crate::judging::chain::StatedChain;
use crate::text::Text;

/// So many facts are shown one by one; more are those of many schools.
const SHOWN: usize = 12;

impl Text {
    /// The steps of an inventory target's chain, in their order.
    #[must_use]
    pub fn explain_stated(&self, chain: &StatedChain<'_>) -> Vec<Step> {
        let step = |heading: String, sentences: Vec<String>, lines: Vec<String>| Step {
            heading,
            paragraphs: vec![sentences],
            lines,
        };
        let origin = self.origin(&chain.target.source, chain.profile_title, chain.status);
        let (said, facts) = self.inventory_says(chain);
        vec![
            step(self.say("explain-origin"), origin, Vec::new()),
            step(
                self.say("explain-demand"),
                self.inventory_demand(chain),
                Vec::new(),
            ),
            step(self.say("explain-stated"), said, facts),
            step(
                self.say("explain-follows"),
                self.inventory_follows(chain),
                Vec::new(),
            ),
        ]
    }

    fn inventory_demand(&self, chain: &StatedChain<'_>) -> Vec<String> {
        let judgement = &chain.row.judgement;
        let whose = match &judgement.whose {
            Whose::Site { .. } => Some(self.say("explain-whose-site")),
            Whose::School { .. } => None,
            Whose::Authority { .. } => Some(self.say("explain-whose-authority")),
        };
        let title = self.pick(&chain.target.title);
        let what = ("what", title.into());
        let demanded = match (judgement.demanded, judgement.item.kind()) {
            (Some(demanded), _) => {
                let number = ItemValue::Number(demanded.number);
                let gaps = [("value", self.stated_of(judgement.item, number).into())];
                let bound = match demanded.op {
                    Operator::AtLeast => self.say_with("explain-at-least", &gaps),
                    Operator::Below => self.say_with("explain-below", &gaps),
                    Operator::AtMost => self.say_with("explain-at-most", &gaps),
                };
                self.say_with("explain-demanded-number", &[what, ("bound", bound.into())])
            }
            (None, ItemKind::Check) => self.say_with("explain-demanded-there", &[what]),
            (None, ItemKind::Number(_)) => self.say_with("explain-demanded-open", &[what]),
        };
        let mut sentences = vec![demanded];
        sentences.extend(whose);
        if let Some((formula, workings)) = chain.rule() {
            let is_assessable = judgement.demanded.is_some();
            sentences.extend(self.calculation(formula, workings, is_assessable));
        }
        sentences
    }

    /// What the inventory says, and the facts line by line.
    fn inventory_says(&self, chain: &StatedChain<'_>) -> (Vec<String>, Vec<String>) {
        let judgement = &chain.row.judgement;
        let Some(stated) = judgement.stated else {
            let gaps = [("item", judgement.item.name().into())];
            let nothing = match judgement.whose {
                Whose::Authority { .. } => self.say_with("explain-not-stated-by-all", &gaps),
                Whose::Site { .. } | Whose::School { .. } => {
                    self.say_with("explain-not-stated", &gaps)
                }
            };
            return (vec![nothing, self.say("explain-collect")], Vec::new());
        };
        let value = self.stated_of(judgement.item, stated);
        let said = self.say_with("explain-stated-value", &[("value", value.into())]);
        let facts = &judgement.facts;
        let mut lines: Vec<String> = facts
            .iter()
            .take(SHOWN)
            .map(|one| self.dated(one))
            .collect();
        let more = facts.len().saturating_sub(SHOWN);
        if more > 0 {
            let gaps = [("more", more.into())];
            lines.push(self.say_with("explain-facts-more", &gaps));
        }
        (vec![said], lines)
    }

    /// The verdict with its reason, and the exceptions beside it.
    fn inventory_follows(&self, chain: &StatedChain<'_>) -> Vec<String> {
        let judgement = &chain.row.judgement;
        let mut sentences = vec![match &judgement.verdict {
            InventoryVerdict::Met => self.say("explain-stated-met"),
            InventoryVerdict::Missed => self.say("explain-stated-missed"),
            InventoryVerdict::NoData {
                why:
                    Lacking::NotAssessable {
                        because: NotAssessable::MissingFact { fact },
                    },
            } => self.missing(*fact),
            InventoryVerdict::NoData { why } => {
                let gaps = [("why", self.lacking(why).into())];
                self.say_with("explain-no-verdict", &gaps)
            }
        }];
        let exceptions = judgement.whose.exceptions().map(|(school, excepted)| {
            let said = self.excepted(excepted);
            match &judgement.whose {
                Whose::Authority { .. } => format!("{school}: {said}"),
                Whose::Site { .. } | Whose::School { .. } => said,
            }
        });
        sentences.extend(exceptions);
        sentences
    }
}
