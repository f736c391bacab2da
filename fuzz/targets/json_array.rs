//! JSON arrays: as values of any shape, and as typed ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxbatch_formats::JsonArrayReader;
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
        oxbatch_fuzz::check(&settings, text, |path| JsonArrayReader::<Value>::new(path).max_element_bytes(settings.limit));
    } else {
        oxbatch_fuzz::check(&settings, text, |path| JsonArrayReader::<Bird>::new(path).max_element_bytes(settings.limit));
    }
});
