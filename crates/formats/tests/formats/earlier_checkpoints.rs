//! Checkpoints as earlier versions have stored them: every reader goes on from them.

use oxbatch_core::ItemReader;
use oxbatch_core::item::Checkpoint;
use oxbatch_formats::{CsvReader, FixedWidthReader, JsonArrayReader, JsonLinesReader, XmlReader};

use crate::harness::{block_on, read_all};

/// Reads a file from a checkpoint, which is also what a reader makes of that position now.
fn goes_on<R: ItemReader<Item: std::fmt::Debug>>(
    text: &str,
    checkpoint: &str,
    make: impl Fn(&std::path::Path) -> R,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    std::fs::write(&path, text).unwrap();
    let stored: serde_json::Value = serde_json::from_str(checkpoint).unwrap();
    block_on(async {
        let mut reader = make(&path);
        reader.open(Some(&Checkpoint::new(&stored).unwrap())).await.unwrap();
        let items = format!("{:?}", read_all(&mut reader).await.unwrap());
        let mut reader = make(&path);
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        let now: serde_json::Value = serde_json::from_str(reader.checkpoint().unwrap().unwrap().as_json()).unwrap();
        assert_eq!(without_record(now), without_record(stored));
        items
    })
}

/// Earlier versions have counted the header as a record.
fn without_record(mut checkpoint: serde_json::Value) -> serde_json::Value {
    checkpoint.as_object_mut().unwrap().remove("record");
    checkpoint
}

#[test]
fn a_checkpoint_of_an_earlier_version_is_read_on() {
    let csv =
        r#"{"byte":11,"line":3,"record":2,"width":2,"size":15,"head":14805075025594271334,"tail":6317457423227233748}"#;
    let items = goes_on("name,n\na,1\nb,2\n", csv, |path| CsvReader::<(String, u32)>::new(path));
    assert_eq!(items, "[(\"b\", 2)]");
    let lines = r#"{"byte":2,"line":2,"size":4,"head":8801025370289698990,"tail":574415693772640258}"#;
    assert_eq!(goes_on("1\n2\n", lines, |path| JsonLinesReader::<u32>::new(path)), "[2]");
    let array = r#"{"file":{"byte":2,"line":1,"size":6,"head":1310427576666008070,"tail":675837944873649681},"part":"more","elements":1}"#;
    assert_eq!(goes_on("[1,\n2]", array, |path| JsonArrayReader::<u32>::new(path)), "[2]");
    let xml = r#"{"file":{"byte":11,"line":1,"size":23,"head":332469080417395451,"tail":6762365710286458866},"position":{"within":["a"],"rooted":true,"elements":1}}"#;
    assert_eq!(goes_on("<a><n>1</n><n>2</n></a>", xml, |path| XmlReader::<u32>::new(path, "n")), "[2]");
    let fixed = r#"{"byte":3,"line":2,"size":6,"head":7662424477746515543,"tail":16607449244381776759}"#;
    let make =
        |path: &std::path::Path| FixedWidthReader::<(String, u32)>::new(path).column("a", 0..1).column("n", 1..2);
    assert_eq!(goes_on("a1\nb2\n", fixed, make), "[(\"b\", 2)]");
}
