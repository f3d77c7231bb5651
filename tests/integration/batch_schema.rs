//! The JSON Schema of batches: real batches keep to it, and what it refuses the program refuses too.
//!
//! The few words of JSON Schema (draft 2020-12) that the file uses are checked here; one that is not known
//! here is a failure, so that none goes unheeded.

use std::fs;
use std::path::Path;

use messnetz::wire::batch::{Batch, Beside, Clock, Link, MAX_OMITTED, Omitted, Why};
use messnetz::wire::{AgentId, CollectorId, MAX_OBSERVATIONS};
use messnetz_metric::{
    Failure, FailureReason, Medium, Metric, Observation, Outcome, Unit, UnixMillis, Vantage,
};
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/batch.schema.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What of `value` is not as `rules` say, with the path to it.
fn check(root: &Value, rules: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let mut hold = |holds: bool, word: &str| {
        if !holds {
            wrong.push(format!("{path}: {word}"));
        }
    };
    let rules = rules.as_object().unwrap();
    let characters = value.as_str().map(|text| text.chars().count() as u64);
    let length = value.as_array().map(|list| list.len() as u64);
    let mut inner: Vec<(&Value, &Value, String)> = Vec::new();
    for (word, rule) in rules {
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let place = rule.as_str().unwrap().strip_prefix('#').unwrap();
                inner.push((root.pointer(place).unwrap(), value, path.to_owned()));
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "null" => value.is_null(),
                    other => panic!("the type {other} is not known here"),
                };
                let any = rule
                    .as_array()
                    .map_or_else(|| is(rule), |names| names.iter().any(is));
                hold(any, word);
            }
            "const" => hold(value == rule, word),
            "enum" => hold(rule.as_array().unwrap().contains(value), word),
            "minimum" => hold(
                value.as_i64().is_none_or(|n| n >= rule.as_i64().unwrap()),
                word,
            ),
            "maximum" => hold(
                value.as_i64().is_none_or(|n| n <= rule.as_i64().unwrap()),
                word,
            ),
            "minLength" => hold(characters.is_none_or(|n| n >= rule.as_u64().unwrap()), word),
            "maxLength" => hold(characters.is_none_or(|n| n <= rule.as_u64().unwrap()), word),
            "minItems" => hold(length.is_none_or(|n| n >= rule.as_u64().unwrap()), word),
            "maxItems" => hold(length.is_none_or(|n| n <= rule.as_u64().unwrap()), word),
            "pattern" => {
                let digits = rule.as_str().unwrap().strip_prefix("^[0-9a-f]{").unwrap();
                let n: usize = digits.strip_suffix("}$").unwrap().parse().unwrap();
                let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                let text = value.as_str().unwrap_or_default();
                hold(text.len() == n && text.chars().all(is_hex), word);
            }
            "required" => {
                for key in rule.as_array().unwrap() {
                    hold(value.get(key.as_str().unwrap()).is_some(), word);
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, false);
                let known = rules["properties"].as_object().unwrap();
                for key in value.as_object().iter().flat_map(|object| object.keys()) {
                    hold(known.contains_key(key), word);
                }
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        inner.push((rule, value, format!("{path}/{key}")));
                    }
                }
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    inner.push((rule, value, format!("{path}/{index}")));
                }
            }
            "anyOf" => {
                let fits = |rule: &Value| {
                    let mut wrong = Vec::new();
                    check(root, rule, value, path, &mut wrong);
                    wrong.is_empty()
                };
                hold(rule.as_array().unwrap().iter().any(fits), word);
            }
            other => panic!("{other} is not known here"),
        }
    }
    for (rules, value, path) in inner {
        check(root, rules, value, &path, wrong);
    }
}

/// What the schema has against a document.
fn complaints(document: &Value) -> Vec<String> {
    let schema = schema();
    let mut wrong = Vec::new();
    check(&schema, &schema, document, "", &mut wrong);
    wrong
}

/// A batch with every metric, medium and reason of failure, as a document.
fn batch(sequence: u64) -> Batch {
    let first = Link {
        collector: CollectorId::of_key(&[9; 32]),
        agent: AgentId::of_key(&[1; 32]),
        site: "XX-100001/main".to_owned(),
        epoch: 1,
        sequence: 1,
        previous: None,
    };
    let hash = Batch::new(&first, &[]).unwrap().hash();
    let link = Link {
        sequence,
        previous: (sequence > 1).then_some(hash),
        ..first
    };
    let failures = FailureReason::ALL.map(|reason| Outcome::Failed(Failure::new(reason, "why")));
    let mut observations = Vec::new();
    for metric in Metric::all() {
        let unit = metric.quantity.unit();
        let value = |number| Outcome::Value(messnetz_metric::Value::new(unit, number));
        let outcomes = [value(i64::MAX), value(i64::MIN), value(7)];
        for (at, outcome) in outcomes.into_iter().chain(failures.clone()).enumerate() {
            let vantage = Vantage {
                interface: (at > 5).then(|| "eth0".to_owned()),
                medium: [Medium::Wired, Medium::Wlan, Medium::Unknown][at % 3],
            };
            let at = UnixMillis(at.cast_signed() as i64);
            observations.push(Observation::new(metric, at, vantage, "peer", outcome));
        }
    }
    observations.truncate(usize::from(MAX_OBSERVATIONS));
    let key = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let clock = Clock {
        boot: "0123456789abcdef".to_owned(),
        offset: i64::MAX,
        synchronised: false,
        since_sync: (sequence > 1).then_some(u32::MAX),
        stepped: 1 - sequence.cast_signed(),
        dated: true,
    };
    let omitted = Why::ALL.map(|why| Omitted {
        metric: (why == Why::Full).then(|| observations[0].metric),
        interface: None,
        medium: (why == Why::Full).then_some(Medium::Wlan),
        peer: (why == Why::Full).then(|| "peer".to_owned()),
        from: 0,
        to: i64::MAX.unsigned_abs(),
        count: (why != Why::PowerLoss).then_some(1),
        why,
    });
    let beside = Beside {
        clock: (sequence > 1).then_some(clock),
        omitted: omitted.into(),
    };
    let batch = Batch::with(&link, &observations, beside).unwrap();
    batch.signed_with(&key)
}

fn as_json(batch: &Batch) -> Value {
    serde_json::from_slice(&batch.document()).unwrap()
}

#[test]
fn real_batches_keep_to_the_schema() {
    let whole = batch(1);
    let second = batch(2);
    let pruned = second.clone().pruned(|chunk| chunk.digest < second.hash());
    for batch in [whole, second, pruned] {
        assert_eq!(complaints(&as_json(&batch)), Vec::<String>::new());
    }
}

#[test]
fn the_schema_lists_all_units_and_reasons() {
    let schema = schema();
    let chunk = schema.pointer("/$defs/chunk/properties").unwrap();
    assert_eq!(chunk["unit"]["enum"], json!(Unit::ALL));
    assert_eq!(chunk["failure"]["items"]["enum"], json!(FailureReason::ALL));
    let omitted = schema.pointer("/$defs/omitted/properties/why/enum");
    assert_eq!(omitted, Some(&json!(Why::ALL)));
    let most = schema.pointer("/$defs/header/properties/omitted/maxItems");
    assert_eq!(most, Some(&json!(MAX_OMITTED)));
    for list in ["digests", "chunks"] {
        assert_eq!(schema["properties"][list]["maxItems"], MAX_OBSERVATIONS);
    }
}

#[test]
fn what_the_schema_refuses_is_refused() {
    let honest = as_json(&batch(1));
    for (place, value) in [
        ("/header/format", json!("messnetz-batch-1")),
        ("/header/agent", json!("../../etc/passwd")),
        ("/header/site", json!("")),
        ("/header/sequence", json!(0)),
        ("/header/epoch", json!(-1)),
        ("/header/observations", json!(70_000)),
        ("/header/root", json!("0")),
        (
            "/header/clock",
            json!({"boot": "0123456789abcdef", "offset": 0}),
        ),
        (
            "/header/omitted",
            json!([{"from": 1, "to": 2, "why": "I forgot"}]),
        ),
        (
            "/header/omitted",
            json!([{"from": 1, "to": -2, "why": "age"}]),
        ),
        ("/header/omitted/0/more", json!(1)),
        ("/signature", json!("short")),
        ("/digests/0", json!(1)),
        ("/chunks/0", json!([])),
        ("/chunks/0/medium", json!("string")),
        ("/chunks/0/unit", json!("furlong")),
        ("/chunks/0/exponent", json!(19)),
        ("/chunks/0/exponent", json!(0.5)),
        ("/chunks/0/at", json!([])),
        ("/chunks/0/value/0", json!("1")),
        ("/chunks/0/peer", json!("x".repeat(201))),
    ] {
        let mut changed = honest.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        match changed.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            object => object[key] = value,
        }
        assert!(!complaints(&changed).is_empty(), "the schema takes {place}");
        let read = Batch::read(changed.to_string().as_bytes());
        assert!(read.is_err(), "the program takes {place}");
    }
    let mut more = honest;
    more["chunks"][0]["more"] = json!(1);
    assert!(!complaints(&more).is_empty());
    assert!(Batch::read(more.to_string().as_bytes()).is_err());
}
