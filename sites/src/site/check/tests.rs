//! Claims about what a site file may say.

use super::*;

const EXAMPLE: &str = include_str!("../../../examples/musterstadt.toml");

fn problems(text: &str) -> Vec<String> {
    let problems = Authority::parse("sites.toml", text).expect_err(text);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_example_is_read_whole() {
    let authority = Authority::parse("musterstadt.toml", EXAMPLE).unwrap();
    insta::assert_json_snapshot!(authority);
}

#[test]
fn the_commented_table_of_the_example_is_valid() {
    let with_judging = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let authority = Authority::parse("musterstadt.toml", &with_judging).unwrap();
    assert_eq!(authority.judging.min_samples, Some(8));
}

#[test]
fn a_misspelt_key_is_refused_with_place_and_suggestion() {
    let text = EXAMPLE.replace("pupils = 300", "pupil = 300");
    let line = 1 + text.lines().position(|line| line == "pupil = 300").unwrap();
    assert_eq!(
        problems(&text),
        [format!(
            "sites.toml:{line}:1: unknown key `pupil` (known here: classes, pupils, teachers, staff, rooms_teaching, devices); did you mean `pupils`?"
        )]
    );
}

#[test]
fn all_problems_of_meaning_are_reported_at_once_with_their_places() {
    let text = r#"
[authority]
name = ""
profiles = ["de-gigabyt", "voice-video", "voice-video"]

[judging]
confidence = 0.5
min_samples = 0

[[school]]
id = "162437"
name = "A"
form = "primary"
facts.pupils = 1_000_000_000
[[school.site]]
id = "Main"
name = "x"
line = { provider = "p", product = "q", medium = "fibre", contract = { down = "1,000 Mbit/s", up = "0 Mbit/s" } }

[[school]]
id = "NW-1"
name = "B"
form = "grammar"

[[school]]
id = "NW-1"
name = "C"
form = "grammar"
profiles = ["no-such"]
[[school.site]]
id = "main"
name = "x"
[[school.site]]
id = "main"
name = "y"
facts.classes = 5_000_000_000
"#;
    insta::assert_snapshot!(problems(text).join("\n"));
}

#[test]
fn an_authority_without_schools_says_so() {
    let text = "[authority]\nname = \"A\"\n";
    assert_eq!(
        problems(text),
        ["sites.toml:2:8: the authority has no [[school]]"]
    );
}

#[test]
fn an_exception_from_a_misspelt_target_is_refused_with_the_one_that_was_meant() {
    let exception = "[[school.exception]]\ntarget = \"de-gigabit/up\"\nby = \"A\"\nreason = \"b\"\nuntil = \"2027-12-31\"\n\n[[school.site]]";
    let text = EXAMPLE.replacen("[[school.site]]", exception, 1);
    let authority = Authority::parse("sites.toml", &text).unwrap();
    let [exception] = authority.schools[0].exceptions.as_slice() else {
        panic!("{:?}", authority.schools[0].exceptions)
    };
    assert_eq!(exception.target.as_str(), "de-gigabit/up");
    let found = problems(&text.replace("de-gigabit/up\"\nby", "de-gigabit/upp\"\nby"));
    assert!(
        found[0].ends_with("did you mean `de-gigabit/up`?"),
        "{found:?}"
    );
    let found = problems(&text.replace("reason = \"b\"", "reason = \" \""));
    assert!(
        found[0].contains("an exception needs a reason"),
        "{found:?}"
    );
}

#[test]
fn the_size_of_the_authority_is_stated_or_the_sum_of_its_schools() {
    let authority = Authority::parse("sites.toml", EXAMPLE).unwrap();
    let size = authority.schools[0].facts.authority;
    assert_eq!((size.pupils, size.staff), (Some(3800), None));
    let stated = "[authority.facts]\nstaff = 500\n\n[[school]]";
    let text = EXAMPLE.replacen("[[school]]", stated, 1);
    let authority = Authority::parse("sites.toml", &text).unwrap();
    for school in &authority.schools {
        assert_eq!(school.facts.authority.staff, Some(500));
    }
}

#[test]
fn a_profile_of_the_user_can_be_named() {
    let profile =
        include_str!("../../../profiles/de-gigabit.toml").replace("de-gigabit", "our-plan");
    let profile = crate::target::Profile::parse("our-plan.toml", &profile).unwrap();
    let profiles = Profiles::built_in().clone().with(profile);
    let text = EXAMPLE.replace("\"de-gigabit\"", "\"our-plan\"");
    assert!(Authority::parse("sites.toml", &text).is_err());
    let authority = Authority::parse_against("sites.toml", &text, &profiles).unwrap();
    let college = &authority.schools[2];
    assert_eq!(authority.profiles_of(college)[0].as_str(), "our-plan");
    assert_eq!(authority.profiles_of(&authority.schools[0]).len(), 3);
}

proptest::proptest! {
    /// A file cut off anywhere is refused or read, and never panics.
    #[test]
    fn a_truncated_file_does_no_harm(at in 0..EXAMPLE.len()) {
        let text = &EXAMPLE[..EXAMPLE.floor_char_boundary(at)];
        let _ = Authority::parse("sites.toml", text);
    }
}
