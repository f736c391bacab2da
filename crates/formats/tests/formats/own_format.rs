//! Formats of an author's own: a decoder of lines, and a framer of records that are none.

use std::ops::Range;

use oxbatch_core::conformance::items::a_reader_goes_on_from_every_position;
use oxbatch_core::item::{ErrorKind, ItemError, ItemReader};
use oxbatch_formats::{DecodeError, FilePosition, FileReader, Framer, LineFramer, RecordDecoder, TextInput};

use crate::harness::block_on;

/// Lines of `key = number`.
#[derive(Default)]
struct KeyValue {
    lines: LineFramer,
}

impl RecordDecoder for KeyValue {
    type Item = (String, u64);
    type Framer = LineFramer;

    fn framer(&mut self) -> &mut LineFramer {
        &mut self.lines
    }

    fn decode(&mut self, line: &str) -> Result<Option<(String, u64)>, DecodeError> {
        if line.starts_with('[') {
            return Ok(None);
        }
        let (key, value) = line.split_once('=').ok_or_else(|| DecodeError::new("there is no '='"))?;
        let value =
            value.trim().parse().map_err(|error: std::num::ParseIntError| DecodeError::from(error).at("value"))?;
        Ok(Some((key.trim().to_owned(), value)))
    }
}

/// Segments that end with an apostrophe, as those of EDIFACT.
#[derive(Default)]
struct Segments;

impl Framer for Segments {
    type Position = FilePosition;

    fn next(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        loop {
            if let Some(end) = input.unread().iter().position(|byte| *byte == b'\'') {
                let record = input.advance(end + 1);
                return Ok(Some(record.start..record.end - 1));
            }
            if !input.fill()? {
                input.check_end()?;
                let rest = input.unread().trim_ascii().is_empty();
                return if rest { Ok(None) } else { Err(input.broken("the file ends within a segment")) };
            }
        }
    }

    fn position(&self, file: FilePosition) -> FilePosition {
        file
    }

    fn resume(&mut self, position: FilePosition) -> Result<FilePosition, ItemError> {
        Ok(position)
    }
}

#[derive(Default)]
struct Edifact {
    segments: Segments,
}

impl RecordDecoder for Edifact {
    type Item = Vec<String>;
    type Framer = Segments;

    fn framer(&mut self) -> &mut Segments {
        &mut self.segments
    }

    fn decode(&mut self, segment: &str) -> Result<Option<Vec<String>>, DecodeError> {
        Ok(Some(segment.trim().split('+').map(str::to_owned).collect()))
    }
}

fn file(bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.txt");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn a_format_of_lines_is_a_decoder_and_goes_on_from_every_position() {
    let (_folder, path) = file("a title\n[part]\ngulls = 12\n\nno value\nhawks = ten\nowls=3");
    let make = || FileReader::<KeyValue>::new(&path).skip_lines(1);
    let outcomes = block_on(a_reader_goes_on_from_every_position(make));
    let items: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().cloned()).collect();
    assert_eq!(items, [Some(("gulls".to_owned(), 12)), None, None, Some(("owls".to_owned(), 3))]);
    let mut reader = make();
    block_on(async {
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        assert_eq!(reader.origin().unwrap().to_string(), format!("file '{}', line 3", path.display()));
        let error = reader.read().await.unwrap_err();
        assert_eq!(reader.origin(), None);
        assert_eq!((error.kind(), error.position(), error.raw()), (ErrorKind::Parse, Some("line 5"), Some("no value")));
        let error = reader.read().await.unwrap_err();
        assert_eq!((error.kind(), error.position()), (ErrorKind::Parse, Some("line 6, value")));
        assert_eq!(error.cause_text(), "invalid digit found in string");
    });
}

#[test]
fn a_framer_of_its_own_finds_records_that_are_no_lines() {
    let (_folder, path) = file("UNH+1+ORDERS'\nBGM+220+B10'\nUNT+2+1'\n");
    let outcomes = block_on(a_reader_goes_on_from_every_position(|| FileReader::<Edifact>::new(&path)));
    let segments: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(segments, [vec!["UNH", "1", "ORDERS"], vec!["BGM", "220", "B10"], vec!["UNT", "2", "1"]]);
    let (_folder, path) = file("UNH+1'BGM");
    let mut reader = FileReader::<Edifact>::new(&path);
    block_on(async {
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        let error = reader.read().await.unwrap_err();
        assert!(error.is_fatal() && error.to_string().ends_with("line 1: the file ends within a segment"), "{error}");
    });
}
