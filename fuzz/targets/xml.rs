//! XML: as text of any element, and as typed elements that hold themselves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxbatch_formats::XmlReader;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
struct Nest {
    #[serde(rename = "@id")]
    id: Option<u32>,
    #[serde(rename = "$text")]
    text: Option<String>,
    #[serde(default)]
    s: Vec<Nest>,
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, text)) = oxbatch_fuzz::split(data) else { return };
    if settings.option & 1 == 0 {
        oxbatch_fuzz::check(&settings, text, |path| XmlReader::<String>::new(path, "s").max_element_bytes(settings.limit));
    } else {
        oxbatch_fuzz::check(&settings, text, |path| XmlReader::<Nest>::new(path, "s").max_element_bytes(settings.limit));
    }
});
