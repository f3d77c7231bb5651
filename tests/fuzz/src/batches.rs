//! What agents, and whoever has curl, send to a collector: batches.

use messnetz::wire::batch::{Batch, Standing};
use messnetz::wire::{MAX_BATCH_BYTES, MAX_OBSERVATIONS};

pub(crate) const WORDS: &[&str] = &[
    "\"header\":",
    "\"signature\":",
    "\"digests\":",
    "\"chunks\":",
    "\"previous\":null",
    "\"clock\":{\"boot\":\"0123456789abcdef\",\"offset\":0,\"synchronised\":true,\"since_sync\":null,\"dated\":false}",
    "\"omitted\":[{\"from\":0,\"to\":9,\"count\":null,\"why\":\"power-loss\"}]",
    "\"sequence\":",
    "\"root\":",
    "\"exponent\":",
    "\"at\":[",
    "\"value\":[",
    "\"failure\":[\"timeout\"]",
    "\"detail\":[\"\"]",
    "\"unit\":\"ppm\"",
    "null",
    "-1",
    "18",
    "9223372036854775807",
    "18446744073709551615",
    "1e300",
    "\\ud800",
    "[",
    "{",
    "}",
    "]",
    ",",
];

/// Three series, of which one has failures, and a batch of nothing.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"header":{"format":"messnetz-batch-2","collector":"0123456789abcdef0123456789abcdef","agent":"0123456789abcdef0123456789abcdef","site":"XX-100001/main","epoch":1795369000000,"sequence":2,"previous":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","observations":5,"root":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"digests":["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],"chunks":[{"metric":"line.rtt","interface":"eth0","medium":"wired","peer":"collector","unit":"us","exponent":0,"at":[1795370000000,60000,60000],"value":[12345,null,12400],"failure":["timeout"],"detail":["no answer"]},{"metric":"line.down","medium":"unknown","peer":"collector","unit":"bit/s","exponent":5,"at":[1795370000500],"value":[946]},{"metric":"wlan.rssi","interface":"wlan0","medium":"wlan","peer":"ap","unit":"mBm","exponent":2,"at":[1795370000500],"value":[-65]}]}"#,
        r#"{"header":{"format":"messnetz-batch-2","collector":"0123456789abcdef0123456789abcdef","agent":"0123456789abcdef0123456789abcdef","site":"x","epoch":1,"sequence":1,"previous":null,"observations":0,"root":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"digests":[],"chunks":[]}"#,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}

/// What was read is within its bounds, and is read again as it is written, with or without its chunks.
pub(crate) fn run(bytes: &[u8]) -> String {
    let batch = match Batch::read(bytes) {
        Ok(batch) => batch,
        // Without what it quotes and where that stood, which would make every answer a new one.
        Err(error) => {
            let plain = |c: char| c.is_ascii_lowercase() || ".:[]_".contains(c);
            let all = error.to_string().replace(|c: char| c.is_ascii_digit(), "");
            let words = all.split(' ').skip(5).take(3);
            let words: Vec<&str> = words.filter(|word| word.chars().all(plain)).collect();
            return words.join(" ");
        }
    };
    assert!(bytes.len() <= MAX_BATCH_BYTES);
    let n_observations = batch.observations().count();
    assert!(n_observations <= usize::from(MAX_OBSERVATIONS));
    let again = Batch::read(&batch.document()).expect("what was written is read");
    assert_eq!(again, batch);
    let bare = batch.clone().pruned(|_| false);
    assert_eq!(bare.hash(), batch.hash());
    assert_eq!(bare.root_holds(), batch.root_holds());
    let signed = batch.is_signed_by(&[7; 32]);
    let hold = |chunk: &messnetz::wire::batch::Chunk| chunk.standing() == Standing::Holds;
    let n_hold = batch.chunks().iter().filter(|chunk| hold(chunk)).count();
    format!(
        "ok: {} chunks, {n_hold} hold, root {} {signed}",
        batch.chunks().len().min(4),
        batch.root_holds()
    )
}
