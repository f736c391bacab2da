//! JSON Lines: as values of any shape, and as typed ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxbatch_formats::JsonLinesReader;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, PartialEq, Deserialize)]
struct Bird {
    id: u32,
    name: Option<String>,
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, text)) = oxbatch_fuzz::split(data) else { return };
    if settings.option & 1 == 0 {
        oxbatch_fuzz::check(&settings, text, |path| JsonLinesReader::<Value>::new(path).max_line_bytes(settings.limit));
    } else {
        oxbatch_fuzz::check(&settings, text, |path| JsonLinesReader::<Bird>::new(path).max_line_bytes(settings.limit));
    }
});
