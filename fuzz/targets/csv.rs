//! Delimited text: as records of any fields, and as typed ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxbatch_formats::CsvReader;
use serde::Deserialize;

#[derive(Debug, PartialEq, Deserialize)]
struct Bird {
    id: u32,
    name: Option<String>,
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, text)) = oxbatch_fuzz::split(data) else { return };
    let delimiter = if settings.option & 1 == 0 { b',' } else { b'\t' };
    if settings.option & 2 == 0 {
        oxbatch_fuzz::check(&settings, text, |path| {
            let reader = CsvReader::<Vec<String>>::new(path).delimiter(delimiter).max_record_bytes(settings.limit);
            if settings.option & 4 == 0 { reader.without_headers() } else { reader }
        });
    } else {
        oxbatch_fuzz::check(&settings, text, |path| {
            CsvReader::<Bird>::new(path).delimiter(delimiter).max_record_bytes(settings.limit)
        });
    }
});
