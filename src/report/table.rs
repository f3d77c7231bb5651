//! The Soll-Ist table (target against measurement) and the recommendations, for a terminal.

use crate::judging::{Report, Row, StatedRow};
use crate::text::Text;
use crate::words::symbol;

/// Distance between two columns.
const GAP: &str = "  ";

/// Target against measurement for every site, then the recommendations, as plain text.
#[must_use]
pub fn soll_ist(report: &Report, text: &Text) -> String {
    let mut lines = vec![
        format!("{}: {}", text.say("table-title"), report.authority),
        String::new(),
    ];
    let head = [
        text.say("table-target"),
        text.say("table-verdict"),
        text.say("table-observed"),
        text.say("table-threshold"),
        text.say("table-samples"),
        text.say("table-period"),
        text.say("table-cause"),
    ];
    let cells: Vec<_> = report.rows.iter().map(|row| cells(row, text)).collect();
    let mut laid_out = columns(&head, &cells).into_iter();
    lines.extend(laid_out.by_ref().take(2));
    let mut site = None;
    for (row, line) in report.rows.iter().zip(laid_out) {
        if site.replace(&row.judgement.site) != Some(&row.judgement.site) {
            lines.push(String::new());
            lines.push(format!("{} ({})", row.school_name, row.judgement.site));
        }
        lines.push(line);
    }
    if let Some(why) = &report.shortened {
        lines.push(String::new());
        lines.push(text.say_with("shortened", &[("why", why.as_str().into())]));
    }
    lines.extend(inventory(report, text));
    lines.push(String::new());
    lines.push(text.say("recommendations"));
    lines.push(String::new());
    if report.recommendations.is_empty() {
        lines.push(text.say("recommendations-none"));
    }
    for recommendation in &report.recommendations {
        let school = report.school_name(&recommendation.site);
        lines.push(format!("{school}: {}", text.pick(&recommendation.title)));
        let prices = [
            (text.say("recommendation-once"), &recommendation.once),
            (text.say("recommendation-monthly"), &recommendation.monthly),
        ];
        let prices = prices.map(|(when, price)| format!("{when}: {}", text.price(price)));
        lines.push(format!("  {}", prices.join(", ")));
        for reason in report.reasons(recommendation, text) {
            lines.push(format!("  {} {reason}", text.say("recommendation-because")));
        }
        lines.push(String::new());
    }
    lines.extend(chains(report, text));
    lines.join("\n").trim_end().to_owned()
}

/// Where the evidence ends, one line for each agent; nothing where none has sent anything.
fn chains(report: &Report, text: &Text) -> Vec<String> {
    if report.chains.is_empty() {
        return Vec::new();
    }
    let head = [
        text.say("table-site"),
        text.say("agents-agent"),
        text.say("chains-end"),
        text.say("chains-hash"),
    ];
    let rows: Vec<_> = report
        .chains
        .iter()
        .map(|chain| {
            [
                chain.site.clone(),
                chain.agent.to_string(),
                format!("{}/{}", chain.epoch, chain.sequence),
                chain.hash.to_string(),
            ]
        })
        .collect();
    let mut lines = vec![text.say("chains-title"), String::new()];
    lines.extend(columns(&head, &rows));
    lines.extend([String::new(), text.say("chains-note")]);
    lines
}

/// The inventory targets of which something is stated, and how many there are without; nothing where there
/// are none.
fn inventory(report: &Report, text: &Text) -> Vec<String> {
    if report.stated.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), text.say("table-stated-title"), String::new()];
    let rows: Vec<&StatedRow> = report.said().collect();
    if !rows.is_empty() {
        let head = [
            text.say("table-target"),
            text.say("table-verdict"),
            text.say("table-stated"),
            text.say("table-demanded"),
            text.say("table-as-of"),
            text.say("table-remark"),
        ];
        let cells: Vec<_> = rows.iter().map(|row| stated_cells(row, text)).collect();
        let mut laid_out = columns(&head, &cells).into_iter();
        lines.extend(laid_out.by_ref().take(2));
        let mut group = None;
        for (row, line) in rows.into_iter().zip(laid_out) {
            let name = match row.id() {
                Some(id) => format!("{} ({id})", row.name),
                None => text.say("table-authority"),
            };
            if group.as_ref() != Some(&name) {
                lines.push(String::new());
                lines.push(name.clone());
                group = Some(name);
            }
            lines.push(line);
        }
        lines.push(String::new());
    }
    lines.extend(text.not_stated(report.not_stated()));
    lines
}

fn stated_cells(row: &StatedRow, text: &Text) -> [String; 6] {
    let judgement = &row.judgement;
    let kind = judgement.verdict.kind();
    [
        format!("  {}", text.pick(&row.target_title)),
        format!("{} {}", symbol(kind), text.verdict(kind)),
        text.what_is_stated(judgement),
        text.what_is_demanded(judgement),
        text.origins(judgement),
        text.remarks(judgement).join("; "),
    ]
}

fn cells(row: &Row, text: &Text) -> [String; 7] {
    let judgement = &row.judgement;
    let kind = judgement.verdict.kind();
    let reason = row
        .cause
        .as_ref()
        .map(|cause| text.cause(cause))
        .or_else(|| text.why_no_verdict(judgement))
        .or_else(|| text.contract(judgement))
        .into_iter()
        .chain(judgement.exception.as_ref().map(|e| text.exception(e)))
        .chain(row.reopened.as_ref().map(|it| text.reopened(it)))
        .collect::<Vec<_>>()
        .join("; ");
    [
        format!("  {}", text.pick(&row.target_title)),
        format!("{} {}", symbol(kind), text.verdict(kind)),
        match judgement.observed {
            Some(_) => format!(
                "{} ({})",
                text.observed(judgement),
                text.statistic(judgement)
            ),
            None => text.observed(judgement),
        },
        text.threshold(judgement),
        format!("{} ({})", judgement.samples, judgement.days),
        text.periods(judgement, row.running.as_ref()),
        reason,
    ]
}

/// Rows of cells in columns as wide as their widest cell, under a head and a rule; the last column is not
/// filled up.
#[must_use]
pub fn columns<const N: usize>(head: &[String; N], rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter()
            .chain(std::iter::once(head))
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: &[String; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        padded.join(GAP).trim_end().to_owned()
    };
    let rule: usize = widths.iter().sum::<usize>() + GAP.len() * N.saturating_sub(1);
    let mut lines = vec![line(head), "─".repeat(rule)];
    lines.extend(rows.iter().map(line));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_whatever_the_letters() {
        let cell = str::to_owned;
        let lines = columns(
            &[cell("Schule"), cell("n")],
            &[
                [cell("Öffentliche Übungsschule"), cell("3")],
                [cell("A"), cell("12")],
            ],
        );
        assert_eq!(lines[0], "Schule                    n");
        assert_eq!(lines[2], "Öffentliche Übungsschule  3");
        assert_eq!(lines[3], "A                         12");
    }
}
