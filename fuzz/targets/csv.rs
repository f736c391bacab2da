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

/// A reader with the options that bits choose.
fn set<T>(mut reader: CsvReader<T>, option: u8, limit: u32) -> CsvReader<T> {
    reader = reader.max_record_bytes(limit);
    if option & 1 != 0 {
        reader = reader.delimiter(b'\t');
    }
    if option & 8 != 0 {
        reader = reader.lenient_quotes();
    }
    if option & 16 != 0 {
        reader = reader.trim();
    }
    if option & 32 != 0 {
        reader = reader.delimiter("||");
    }
    if option & 64 != 0 {
        reader = reader.short_records().long_records();
    }
    reader
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, text)) = oxbatch_fuzz::split(data) else { return };
    let (option, limit) = (settings.option, settings.limit);
    if option & 2 == 0 {
        oxbatch_fuzz::check(&settings, text, |path| {
            let reader = set(CsvReader::<Vec<String>>::new(path), option, limit);
            if option & 4 == 0 { reader.without_headers() } else { reader }
        });
    } else {
        oxbatch_fuzz::check(&settings, text, |path| set(CsvReader::<Bird>::new(path), option, limit));
    }
});
