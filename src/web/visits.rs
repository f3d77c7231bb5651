//! The section of the page about visits: snapshots that no verdict rests on.

use maud::{Markup, html};

use crate::judging::visits::Visited;
use crate::text::Text;

/// Each visit with what it saw.
pub(super) fn list(visits: &[Visited], text: &Text) -> Markup {
    html! {
        @for visit in visits {
            details {
                summary { (text.visit(visit)) }
                ul { @for line in text.seen_on(visit) { li { (line) } } }
            }
        }
        p.note { (text.say("audit-is-snapshot")) }
    }
}
