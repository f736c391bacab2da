//! Checkpoints that no reader has made: what a damaged store may hold.

use oxbatch_core::item::Checkpoint;
use serde_json::Value;

use super::{Format, birds, file, for_each};

#[test]
fn a_checkpoint_with_an_impossible_number_fails_the_step_with_a_sentence() {
    for_each(|format, packing, name| {
        let (_folder, path) = file(&packing.pack(&format.whole(&birds(3))));
        let taken = format.read(&path, None, 2).checkpoint.unwrap();
        let text = taken.as_json().to_owned();
        let value: Value = serde_json::from_str(&text).unwrap();
        let mut tried = 0;
        for (pointer, number) in numbers("", &value) {
            for changed in [u64::MAX, u64::MAX - 1, u64::MAX / 2, u64::from(u32::MAX)] {
                let mut value = value.clone();
                *value.pointer_mut(&pointer).unwrap() = changed.into();
                let attempt = format.read(&path, Some(&Checkpoint::new(&value).unwrap()), usize::MAX);
                assert_eq!(attempt.birds, [], "{name}: {changed} for {number} in {pointer} of {text}");
                let message = attempt.end().to_string();
                assert!(message.ends_with("launch with force to start anew"), "{name} {pointer}: {message}");
                tried += 1;
            }
        }
        assert!(tried >= 4 * 5, "{name}: {text}");
        if format == Format::JsonLines {
            for text in ["null", "{}", "[]", "1", "\"\"", "{\"byte\":-1}", "{\"byte\":1e99}"] {
                let checkpoint = Checkpoint::new(&serde_json::from_str::<Value>(text).unwrap()).unwrap();
                let message = format.read(&path, Some(&checkpoint), 1).end().to_string();
                assert!(message.contains("does not fit this reader or writer"), "{message}");
            }
        }
    });
}

/// Where the numbers of a value stand.
fn numbers(at: &str, value: &Value) -> Vec<(String, u64)> {
    match value {
        Value::Number(number) => vec![(at.to_owned(), number.as_u64().unwrap())],
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| numbers(&format!("{at}/{name}"), value)).collect()
        }
        _ => Vec::new(),
    }
}
