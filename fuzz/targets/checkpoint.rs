//! Checkpoints of every reader and writer of files: of any text, and true ones with other numbers in them.
//!
//! Whatever was stored, opening with it ends in a sentence or in a reader that ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxbatch_core::item::{Checkpoint, ItemReader, ItemWriter, ListReader};
use oxbatch_formats::{CsvReader, CsvWriter, FilesReader, FixedWidthReader, JsonArrayReader, JsonLinesReader, XmlReader};
use oxbatch_fuzz::{Scratch, block_on, stored};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some((&[choice, items, length, field, number], rest)) = data.split_first_chunk() else { return };
    let (json, text) = rest.split_at(usize::from(length).min(rest.len()));
    let scratch = Scratch::with(text);
    let path = scratch.path();
    let change = Change { items, field, number, json };
    let most = text.len() + 4;
    match choice % 8 {
        0 => change.apply(|| CsvReader::<Vec<String>>::new(path).without_headers(), most),
        1 => change.apply(|| CsvReader::<Vec<String>>::new(path), most),
        2 => change.apply(|| FixedWidthReader::<(String, String)>::new(path).column("a", 0..1).column("b", 1..2), most),
        3 => change.apply(|| JsonLinesReader::<Value>::new(path), most),
        4 => change.apply(|| JsonArrayReader::<Value>::new(path), most),
        5 => change.apply(|| XmlReader::<String>::new(path, "s"), most),
        6 => change.apply(
            || FilesReader::new(path.display().to_string(), |path: &std::path::Path| JsonLinesReader::<Value>::new(path)),
            most,
        ),
        _ => {
            change.apply(|| ListReader::new(text.to_vec()), most);
            if let Some(checkpoint) = change.raw() {
                let mut writer = CsvWriter::<u8>::with_tag("1", path).roll_after_items(2);
                let _ = block_on(writer.open(Some(&checkpoint)));
            }
        }
    }
});

/// A checkpoint that no reader made.
struct Change<'a> {
    /// Items that are read before it.
    items: u8,
    field: u8,
    number: u8,
    json: &'a [u8],
}

impl Change<'_> {
    /// The bytes themselves, where they are JSON.
    fn raw(&self) -> Option<Checkpoint> {
        let value: Value = serde_json::from_slice(self.json).ok()?;
        Checkpoint::new(&value).ok()
    }

    fn apply<R: ItemReader>(&self, make: impl Fn() -> R, most: usize) {
        if let Some(checkpoint) = self.raw() {
            return resume(make(), &checkpoint, most);
        }
        let mut reader = make();
        let Ok(()) = block_on(reader.open(None)) else { return };
        for _ in 0..self.items {
            if !matches!(block_on(reader.read()), Ok(Some(_))) {
                break;
            }
        }
        let checkpoint = stored(&reader.checkpoint().expect("it is open").expect("it has a place"));
        let mut value: Value = serde_json::from_str(checkpoint.as_json()).expect("a checkpoint is JSON");
        let mut numbers = Vec::new();
        leaves(&mut value, &mut numbers);
        let count = numbers.len();
        if let Some(leaf) = numbers.into_iter().nth(usize::from(self.field) % count.max(1)) {
            let old = leaf.as_u64().unwrap_or_default();
            *leaf = match self.number {
                0 => u64::MAX.into(),
                1 => (u64::MAX - 1).into(),
                2 => (u64::MAX / 2).into(),
                3 => u32::MAX.into(),
                number if number < 64 => u64::from(number - 4).into(),
                number if number < 160 => old.wrapping_add(u64::from(number - 64)).into(),
                number => old.wrapping_sub(u64::from(number - 160)).into(),
            };
        }
        resume(make(), &Checkpoint::new(&value).expect("JSON is a checkpoint"), most);
    }
}

/// All numbers of a value.
fn leaves<'a>(value: &'a mut Value, found: &mut Vec<&'a mut Value>) {
    match value {
        Value::Number(_) => found.push(value),
        Value::Array(values) => values.iter_mut().for_each(|value| leaves(value, found)),
        Value::Object(fields) => fields.values_mut().for_each(|value| leaves(value, found)),
        _ => {}
    }
}

fn resume<R: ItemReader>(mut reader: R, checkpoint: &Checkpoint, most: usize) {
    if let Err(error) = block_on(reader.open(Some(checkpoint))) {
        assert!(!error.to_string().is_empty());
        return;
    }
    for _ in 0..most {
        match block_on(reader.read()) {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) if error.kind() == oxbatch_core::item::ErrorKind::Parse => {}
            Err(_) => return,
        }
        let _ = reader.checkpoint().expect("an open reader has a checkpoint");
    }
    panic!("there are more outcomes than bytes");
}
