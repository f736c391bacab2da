//! Lines of columns at fixed places.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxbatch_formats::FixedWidthReader;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
struct Bird {
    id: Option<u32>,
    name: String,
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, text)) = oxbatch_fuzz::split(data) else { return };
    oxbatch_fuzz::check(&settings, text, |path| {
        let reader = FixedWidthReader::<Bird>::new(path).trimmed_column("id", 0..2).column("name", 3..5);
        let reader = reader.max_line_bytes(settings.limit);
        let reader = if settings.option & 1 == 0 { reader } else { reader.short_lines() };
        if settings.option & 2 == 0 { reader } else { reader.line_width(7) }
    });
});
