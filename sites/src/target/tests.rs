//! The reference schools, and profiles that extend others.

use crate::facts::{AuthorityFacts, Facts};
use crate::sample_school::school;
use crate::site::{School, SchoolForm};
use crate::target::{Applies, Profiles, Target};

fn reference_school(form: SchoolForm, pupils: u32, classes: u32) -> School {
    let mut school = school(Some(classes), None);
    school.form = form;
    school.facts = Facts {
        pupils: Some(pupils),
        classes: Some(classes),
        // "Staff taken as 10 % of pupils."
        staff: Some(pupils / 10),
        // The column is that of a large authority: Dortmund has 76,734 pupils and 6,703 teachers.
        authority: AuthorityFacts {
            pupils: Some(76_734),
            staff: Some(6_703),
        },
        ..Facts::default()
    };
    school
}

fn down<'a>(profiles: &'a Profiles, profile: &str, school: &'a School) -> Option<&'a Target> {
    let profile = profiles.get(&profile.parse().unwrap()).unwrap();
    let metric = "line.down".parse().unwrap();
    profile.targets_for(school).find(|t| t.metric == metric)
}

/// The table "What the rules give for reference schools" of the project's collected facts: Mbit/s download.
#[test]
fn the_rules_give_the_figures_of_the_reference_table() {
    const PROFILES: [&str; 9] = [
        "de-aufgreifschwelle-30",
        "de-schueler-1",
        "fcc-1mbps",
        "de-schueler-2",
        "lemgo-500-1000",
        "uk-dfe-2025",
        "setda-2023",
        "giga-2030",
        "de-gigabit",
    ];
    let rows: [(&str, SchoolForm, u32, u32, [i64; 9]); 5] = [
        // Grundschule, 2-zügig
        (
            "row 1",
            SchoolForm::Primary,
            200,
            8,
            [270, 200, 200, 400, 500, 100, 308, 20, 1000],
        ),
        // Grundschule, 3-zügig
        (
            "row 2",
            SchoolForm::Primary,
            300,
            12,
            [390, 300, 300, 600, 500, 100, 462, 20, 1000],
        ),
        // Realschule, Sekundarschule
        (
            "row 3",
            SchoolForm::Secondary,
            600,
            24,
            [750, 600, 600, 1200, 1000, 1000, 924, 30, 1000],
        ),
        // Gymnasium: 1,110 capped
        (
            "row 4",
            SchoolForm::Grammar,
            1000,
            36,
            [1000, 1000, 1000, 2000, 1000, 1000, 1540, 50, 1000],
        ),
        // Berufskolleg: 3,030 capped
        (
            "row 5",
            SchoolForm::Vocational,
            2500,
            100,
            [1000, 2500, 2500, 5000, 1000, 1000, 3850, 125, 1000],
        ),
    ];
    for (row, form, pupils, classes, expected) in rows {
        let school = reference_school(form, pupils, classes);
        for (profile, mbps) in PROFILES.iter().zip(expected) {
            let target = down(Profiles::built_in(), profile, &school).unwrap();
            let threshold = target.threshold(&school.facts).unwrap();
            let strict = threshold.strict.number();
            assert_eq!(strict, mbps * 1_000_000, "{row}, {profile}: {threshold:?}");
        }
    }
    let threshold = |classes| {
        let school = reference_school(SchoolForm::Grammar, 1000, classes);
        let target = down(Profiles::built_in(), "de-aufgreifschwelle-30", &school).unwrap();
        let threshold = target.threshold(&school.facts).unwrap();
        (threshold.workings, threshold.capped_at.is_some())
    };
    assert_eq!(threshold(36), ("30 × (36 + 1) = 1110".to_owned(), true));
    assert_eq!(threshold(100), ("30 × (100 + 1) = 3030".to_owned(), true));
}

#[test]
fn the_size_of_the_authority_decides_the_rate_per_user() {
    for (pupils, staff, mbps) in [
        // Small: 2.8 each, and at least 300 for all of the authority's schools together.
        (900, 90, 220.0 * 2.8),
        (60, 6, 220.0 * 300.0 / 66.0),
        (1_000, 100, 220.0 * 2.0),
        (10_000, 1_000, 220.0 * 2.0),
        (10_001, 1_000, 220.0 * 1.4),
    ] {
        let mut school = reference_school(SchoolForm::Primary, 200, 8);
        school.facts.authority = AuthorityFacts {
            pupils: Some(pupils),
            staff: Some(staff),
        };
        let target = down(Profiles::built_in(), "setda-2023", &school).unwrap();
        let strict = target.threshold(&school.facts).unwrap().strict.number();
        assert!(
            (strict as f64 / 1e6 - mbps).abs() < 0.01,
            "{pupils}: {strict}"
        );
    }
    let mut school = reference_school(SchoolForm::Primary, 200, 8);
    school.facts.authority = AuthorityFacts::default();
    let target = down(Profiles::built_in(), "setda-2023", &school).unwrap();
    let error = target.threshold(&school.facts).unwrap_err().to_string();
    assert_eq!(error, "the fact `authority_pupils` is missing");
}

#[test]
fn a_form_that_a_rule_does_not_name_has_no_target_of_it() {
    let school = reference_school(SchoolForm::Special, 100, 10);
    assert!(down(Profiles::built_in(), "lemgo-500-1000", &school).is_none());
    assert!(down(Profiles::built_in(), "uk-dfe-2025", &school).is_none());
}

fn plan(head: &str, body: &str) -> (String, String) {
    let text = format!(
        r#"[profile]
id = "our-mep"
{head}
title = {{ de = "Unser MEP", en = "Our plan" }}
country = "DE"
status = "current"
source = {{ document = "Ratsbeschluss 12/2026", publisher = "Musterstadt", year = 2026, mark = "S" }}
{body}"#
    );
    ("mep.toml".to_owned(), text)
}

fn refused(files: &[(String, String)]) -> Vec<String> {
    let problems = Profiles::built_in().with_own(files).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_council_overrides_a_target_for_all_for_a_form_and_for_a_school() {
    let file = plan(
        "extends = \"mep-ziel\"",
        r#"
[[override]]
target = "down"
formula = "2 * pupils"

[[override]]
target = "down"
forms = ["primary"]
formula = "500"

[[override]]
target = "down"
schools = ["NW-7"]
formula = "250"
source = { document = "Ratsbeschluss 13/2026", publisher = "Musterstadt", mark = "S" }

[[override]]
target = "pupils-per-device"
forms = ["primary"]
formula = "4"
"#,
    );
    let profiles = Profiles::built_in().with_own(&[file]).unwrap();
    let base = profiles.get(&"mep-ziel".parse().unwrap()).unwrap();
    let ours = profiles.get(&"our-mep".parse().unwrap()).unwrap();
    assert_eq!(ours.extends.as_ref(), Some(&base.id));
    let grammar = reference_school(SchoolForm::Grammar, 1000, 36);
    let primary = reference_school(SchoolForm::Primary, 200, 8);
    let mut seventh = primary.clone();
    seventh.id = "NW-7".parse().unwrap();
    for (school, mbps, document) in [
        (&grammar, 2000, "Ratsbeschluss 12/2026"),
        (&primary, 500, "Ratsbeschluss 12/2026"),
        (&seventh, 250, "Ratsbeschluss 13/2026"),
    ] {
        let target = down(&profiles, "our-mep", school).unwrap();
        assert_eq!(target.id.as_str(), "our-mep/down");
        let strict = target.threshold(&school.facts).unwrap().strict.number();
        assert_eq!(strict, mbps * 1_000_000);
        assert_eq!(target.source.document, document);
        assert!(
            target.tolerance.is_some(),
            "what is not overridden is inherited"
        );
    }
    // Everything else is the base's, with the base's source.
    let up = ours
        .targets
        .iter()
        .find(|t| t.id.as_str() == "our-mep/up")
        .unwrap();
    assert_eq!(up.source, base.source);
    let devices: Vec<_> = ours
        .inventory_for(&primary)
        .filter(|t| t.id.as_str() == "our-mep/pupils-per-device")
        .collect();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].demanded(&primary.facts), Ok(Some(4.0)));
    assert_eq!(
        ours.targets_for(&primary).count(),
        base.targets_for(&primary).count()
    );
}

#[test]
fn a_whole_target_takes_the_place_of_all_of_its_name() {
    let target = r#"
[[inventory]]
id = "pupils-per-device"
title = { de = "a", en = "b" }
item = "devices.pupils-per-device"
op = "<="
formula = "3"
scope = "school"
"#;
    let file = plan("extends = \"mep-ziel\"", target);
    let profiles = Profiles::built_in().with_own(&[file]).unwrap();
    let ours = profiles.get(&"our-mep".parse().unwrap()).unwrap();
    let found: Vec<_> = ours
        .inventory
        .iter()
        .filter(|t| t.id.as_str() == "our-mep/pupils-per-device")
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].applies, Applies::All);
}

#[test]
fn two_overrides_of_one_target_for_the_same_schools_are_refused() {
    let over = |rest: &str| format!("\n[[override]]\ntarget = \"down\"\n{rest}\n");
    for (first, second, refused_at) in [
        ("formula = \"100\"", "statistic = \"p20\"", Some(14)),
        (
            "forms = [\"primary\", \"grammar\"]\nformula = \"100\"",
            "forms = [\"grammar\"]\nformula = \"200\"",
            Some(15),
        ),
        (
            "forms = [\"primary\"]\nformula = \"100\"",
            "forms = [\"grammar\"]\nformula = \"200\"",
            None,
        ),
        (
            "forms = [\"primary\"]\nformula = \"100\"",
            "formula = \"200\"",
            None,
        ),
    ] {
        let file = plan(
            "extends = \"mep-ziel\"",
            &[over(first), over(second)].concat(),
        );
        match (refused_at, Profiles::built_in().with_own(&[file])) {
            (None, Ok(_)) => {}
            (Some(line), Err(problems)) => {
                assert_eq!(problems.len(), 1, "{problems:?}");
                let start = format!("mep.toml:{line}:10: line 10 overrides `down`");
                let shown = problems[0].to_string();
                assert!(shown.starts_with(&start), "{shown}");
            }
            (_, other) => panic!("{first} {second}: {other:?}"),
        }
    }
}

#[test]
fn an_override_for_all_leaves_that_of_a_form_alone_wherever_it_stands() {
    let base = plan(
        "extends = \"mep-ziel\"",
        "\n[[override]]\ntarget = \"down\"\nforms = [\"primary\"]\nformula = \"100\"\n",
    );
    let (_, text) = plan(
        "extends = \"our-mep\"",
        "\n[[override]]\ntarget = \"down\"\nforms = [\"primary\"]\nformula = \"200\"\n\n[[override]]\ntarget = \"down\"\nformula = \"300\"\n",
    );
    let next = (
        "next.toml".to_owned(),
        text.replace("id = \"our-mep\"", "id = \"next\""),
    );
    let profiles = Profiles::built_in().with_own(&[base, next]).unwrap();
    for (form, mbps) in [(SchoolForm::Primary, 200), (SchoolForm::Grammar, 300)] {
        let school = reference_school(form, 200, 8);
        let target = down(&profiles, "next", &school).unwrap();
        let strict = target.threshold(&school.facts).unwrap().strict.number();
        assert_eq!(strict, mbps * 1_000_000, "{form:?}");
    }
}

#[test]
fn an_overridden_statistic_asks_for_its_own_days() {
    let over = |rest: &str| format!("\n[[override]]\ntarget = \"down\"\n{rest}\n");
    let share = plan(
        "extends = \"mep-ziel\"",
        &over("statistic = \"share-of-days-90\""),
    );
    let next = |rest: &str| {
        let (_, text) = plan("extends = \"our-mep\"", &over(rest));
        let name = "next.toml".to_owned();
        (name, text.replace("id = \"our-mep\"", "id = \"next\""))
    };
    for (rest, min_days) in [
        ("formula = \"100\"", 29),
        ("statistic = \"median\"", 5),
        ("statistic = \"median\"\nmin_days = 12", 12),
        ("min_days = 40", 40),
        ("confidence = 0.99", 44),
    ] {
        let files = [share.clone(), next(rest)];
        let profiles = Profiles::built_in().with_own(&files).unwrap();
        let school = reference_school(SchoolForm::Grammar, 1000, 36);
        let target = down(&profiles, "next", &school).unwrap();
        assert_eq!(target.min_days, min_days, "{rest}");
    }
    assert_eq!(
        refused(&[share, next("min_days = 20")]),
        [
            "next.toml:11:12: min_days = 20 can never be enough: share-of-days-90 at confidence 0.95 needs 29"
        ]
    );
    let of_a_fact = "\n[[override]]\ntarget = \"pupils-per-device\"\n";
    for key in ["min_days = 20", "window = \"off-lesson\""] {
        let found = refused(&[plan("extends = \"mep-ziel\"", &[of_a_fact, key].concat())]);
        let start = "mep.toml:10:10: an inventory target has no cap, window, ";
        assert!(found[0].starts_with(start), "{found:?}");
    }
}

#[test]
fn what_is_misspelt_is_named_with_its_line_and_the_word_that_was_meant() {
    let over = |target: &str, rest: &str| format!("\n[[override]]\ntarget = \"{target}\"\n{rest}");
    for (head, body, expected) in [
        (
            "extends = \"mep-zeil\"",
            String::new(),
            "mep.toml:3:11: there is no profile `mep-zeil`",
        ),
        (
            "extends = \"voice-video\"",
            over("jiter", "formula = \"10\""),
            "mep.toml:10:10: there is no target `jiter` to override (known: rtt, jitter, loss); did you mean `jitter`?",
        ),
        (
            "",
            format!(
                "{}{}",
                "\n[[inventory]]\nid = \"a\"\ntitle = { de = \"a\", en = \"b\" }\nitem = \"wlan.ap-per-rom\"\nop = \">=\"\nformula = \"1\"\nscope = \"school\"\n",
                ""
            ),
            "mep.toml:12:8: there is no inventory item 'wlan.ap-per-rom' (an item is such as wlan.ap-per-room or lan.class-ea); did you mean `wlan.ap-per-room`?",
        ),
        (
            "extends = \"voice-video\"",
            over("rtt", "min_samples = 10"),
            "mep.toml:10:10: min_samples = 10 can never be enough: p95 at confidence 0.95 needs 59",
        ),
        (
            "extends = \"sn-orientierung\"",
            over("poe", "formula = \"1\""),
            "mep.toml:10:10: an inventory target has no cap",
        ),
        (
            "extends = \"voice-video\"",
            over("rtt", "forms = [\"primry\"]\nformula = \"1\""),
            "mep.toml:11:10: unknown value `primry`",
        ),
    ] {
        let found = refused(&[plan(head, &body)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{}", found[0]);
    }
}

#[test]
fn profiles_that_extend_each_other_are_refused_with_their_circle() {
    let named = |id: &str, base: &str| {
        let (_, text) = plan(&format!("extends = \"{base}\""), "");
        (format!("{id}.toml"), text.replace("our-mep", id))
    };
    let found = refused(&[named("a", "b"), named("b", "c"), named("c", "b")]);
    assert_eq!(
        found,
        [
            "a.toml:3:11: the profiles extend each other in a circle: a → b → c → b",
            "b.toml:3:11: the profiles extend each other in a circle: b → c → b",
            "c.toml:3:11: the profiles extend each other in a circle: c → b → c",
        ]
    );
    // Whatever the order of the files, a base is read before what extends it.
    let files = [named("b", "a"), named("a", "mep-basis")];
    assert!(Profiles::built_in().with_own(&files).is_ok());
    let taken = refused(&[named("mep-ziel", "mep-basis")]);
    assert!(taken[0].contains("is a built-in profile"), "{taken:?}");
    let twice = refused(&[named("a", "mep-basis"), named("a", "mep-basis")]);
    assert!(twice[0].contains("already has a profile `a`"), "{twice:?}");
}
