//! Which known word an unknown one was probably meant to be.

/// Longer words are not compared: the distance costs the product of both lengths.
const LONGEST: usize = 64;

/// The known word nearest to `word`, if one is near enough to be meant: at most a third of its
/// characters changed, and never more than four.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length == 0 || length > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= (length / 3).clamp(1, 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let known = ["classes", "pupils", "teachers", "staff"];
        for (word, expected) in [
            ("clases", Some("classes")),
            ("Classes", Some("classes")),
            ("pupil", Some("pupils")),
            ("taechers", Some("teachers")),
            ("windows", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
