//! Numbers in the JSON of other implementations: cJSON writes every number as a float, and "not known" as -1,
//! which some versions write as 18446744073709551615.

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A count, or nothing where the peer does not know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count(pub(super) Option<u64>);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(count) => serializer.serialize_u64(count),
            None => serializer.serialize_i64(-1),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNumber;

        impl Visitor<'_> for AnyNumber {
            type Value = Count;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a number")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
                Ok(Count((number != u64::MAX).then_some(number)))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(number).ok()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Count, E> {
                // 2^64 - 1 as a float is 2^64. Everything below is cut to whole numbers.
                let known = number >= 0.0 && number < u64::MAX as f64;
                Ok(Count(known.then_some(number as u64)))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Count, E> {
                Ok(Count(Some(u64::from(flag))))
            }
        }

        deserializer.deserialize_any(AnyNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_known_has_many_forms_and_none_of_them_is_a_count() {
        for text in [
            "-1",
            "18446744073709551615",
            "-1.0",
            "1.8446744073709552e19",
            "1e300",
        ] {
            let count: Count = serde_json::from_str(text).unwrap();
            assert_eq!(count, Count(None), "{text}");
        }
        assert_eq!(serde_json::to_string(&Count(None)).unwrap(), "-1");
    }

    #[test]
    fn floats_and_whole_numbers_are_counts() {
        for text in ["131072", "131072.0", "1.31072e5"] {
            let count: Count = serde_json::from_str(text).unwrap();
            assert_eq!(count, Count(Some(131_072)), "{text}");
        }
        assert!(serde_json::from_str::<Count>("\"7\"").is_err());
    }
}
