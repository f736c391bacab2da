//! The origins of items: the file, and the line or the element, however the text is read.

use std::path::Path;

use oxbatch_core::ItemReader;
use oxbatch_formats::{CsvReader, FilesReader, FixedWidthReader, JsonArrayReader, JsonLinesReader, XmlReader};

use crate::harness::block_on;

/// The origins of all items.
fn origins<R: ItemReader>(text: &str, make: impl Fn(&Path) -> R) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, text).unwrap();
    let prefix = format!("file '{}', ", path.display());
    block_on(async {
        let mut reader = make(&path);
        reader.open(None).await.unwrap();
        assert_eq!(reader.origin(), None);
        let mut origins = Vec::new();
        while let Ok(Some(_)) = reader.read().await {
            origins.push(reader.origin().unwrap().to_string().strip_prefix(&prefix).unwrap().to_owned());
        }
        assert_eq!(reader.origin(), None, "there is no item");
        origins
    })
}

#[test]
fn every_reader_of_files_knows_where_its_last_item_stands() {
    let csv = "n\n\"1\n2\"\n\n3\n";
    assert_eq!(origins(csv, |path| CsvReader::<(String,)>::new(path)), ["line 2", "line 5"]);
    assert_eq!(origins("1\n\n2", |path| JsonLinesReader::<u32>::new(path)), ["line 1", "line 3"]);
    assert_eq!(origins("1\n\n2", |path| FixedWidthReader::<(u32,)>::new(path).column("n", 0..1)), ["line 1", "line 3"]);
    let array = ["line 1, element 1", "line 2, element 2"];
    assert_eq!(origins("[1,\n2]", |path| JsonArrayReader::<u32>::new(path)), array);
    assert_eq!(origins("<a><n>1\n</n><n>2</n></a>", |path| XmlReader::<String>::new(path, "n")), array);
    let files = |path: &Path| {
        let pattern = path.display().to_string();
        FilesReader::new(pattern, |path: &Path| JsonLinesReader::<u32>::new(path))
    };
    assert_eq!(origins("1\n2\n", files), ["line 1", "line 2"]);
}
