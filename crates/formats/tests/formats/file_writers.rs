//! `CsvWriter` and `JsonLinesWriter`: what they write, and that a restart cuts back.

use oxbatch_core::item::ItemWriter;
use oxbatch_formats::{CsvWriter, FileSync, JsonLinesWriter, OnExisting};
use serde::Serialize;

use crate::harness::{NoTransaction, block_on, end, names, write};

#[derive(Debug, Clone, Serialize)]
struct Strike {
    species: &'static str,
    speed: Option<u32>,
}

const GULL: Strike = Strike { species: "Gull, \"Larus\"", speed: Some(12) };
const HAWK: Strike = Strike { species: "Hawk", speed: None };

#[test]
fn csv_has_one_header_over_any_number_of_chunks_and_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/output/strikes.csv");
    block_on(async {
        let mut writer = CsvWriter::with_tag("7-Export", &path);
        writer.open(None).await.unwrap();
        write(&mut writer, &[]).await.unwrap();
        writer.committed();
        let checkpoint = write(&mut writer, &[GULL]).await.unwrap();
        writer.committed();
        assert_eq!(names(path.parent().unwrap()), ["strikes.csv.7-Export.part"]);
        writer.close().await.unwrap();

        let mut writer = CsvWriter::with_tag("7-Export", &path);
        writer.open(Some(&checkpoint)).await.unwrap();
        write(&mut writer, &[HAWK, GULL]).await.unwrap();
        writer.committed();
        end::<Strike, _>(&mut writer).await.unwrap();
    });
    assert_eq!(names(path.parent().unwrap()), ["strikes.csv"]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "species,speed\n\"Gull, \"\"Larus\"\"\",12\nHawk,\n\"Gull, \"\"Larus\"\"\",12\n");
}

#[test]
fn an_empty_input_makes_a_file_with_the_given_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    block_on(async {
        for writer in [
            &mut CsvWriter::<Strike>::with_tag("1", path("given.csv")).headers(["species", "speed"]).delimiter(b'\t'),
            &mut CsvWriter::with_tag("1", path("names.csv")),
            &mut CsvWriter::with_tag("1", path("none.csv")).without_headers(),
        ] {
            writer.open(None).await.unwrap();
            end::<Strike, _>(writer).await.unwrap();
        }
        let mut writer = JsonLinesWriter::with_tag("1", path("lines.jsonl"));
        writer.open(None).await.unwrap();
        end::<Strike, _>(&mut writer).await.unwrap();
    });
    let texts =
        ["given.csv", "names.csv", "none.csv", "lines.jsonl"].map(|name| std::fs::read_to_string(path(name)).unwrap());
    assert_eq!(texts, ["species\tspeed\n", "", "", ""]);
    assert_eq!(names(folder.path()).len(), 4);
}

#[test]
fn given_headers_replace_the_names_and_their_number_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strikes.csv");
    block_on(async {
        let mut writer = CsvWriter::with_tag("1", &path).headers(["Art", "Tempo"]).without_headers();
        writer.open(None).await.unwrap();
        write(&mut writer, &[HAWK]).await.unwrap();
        end::<Strike, _>(&mut writer).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "Hawk,\n");

        let mut writer = CsvWriter::with_tag("1", &path).headers(["Art", "Tempo"]);
        writer.open(None).await.unwrap();
        write(&mut writer, &[HAWK]).await.unwrap();
        end::<Strike, _>(&mut writer).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "Art,Tempo\nHawk,\n");

        let mut writer = CsvWriter::with_tag("1", &path).headers(["Art"]);
        writer.open(None).await.unwrap();
        let message = write(&mut writer, &[HAWK]).await.unwrap_err().to_string();
        assert_eq!(message, "output 1 of the chunk: record has 2 fields, but the records before it have 1");
    });
}

#[test]
fn json_lines_are_one_value_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strikes.jsonl");
    block_on(async {
        let mut writer = JsonLinesWriter::with_tag("1", &path).sync(FileSync::EveryChunk);
        writer.open(None).await.unwrap();
        write(&mut writer, &[GULL, HAWK]).await.unwrap();
        writer.committed();
        end::<Strike, _>(&mut writer).await.unwrap();
    });
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "{\"species\":\"Gull, \\\"Larus\\\"\",\"speed\":12}\n{\"species\":\"Hawk\",\"speed\":null}\n");
}

/// Fails to be written after its first field.
#[derive(Clone)]
struct Fragile(bool);

impl Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{Error, SerializeStruct};
        let mut fields = serializer.serialize_struct("Fragile", 2)?;
        fields.serialize_field("a", "whole")?;
        if !self.0 {
            return Err(S::Error::custom("the second half is missing"));
        }
        fields.serialize_field("b", "record")?;
        fields.end()
    }
}

async fn fails_in_the_middle<W: ItemWriter<Fragile>>(mut writer: W) {
    let good = Fragile(true);
    writer.open(None).await.unwrap();
    for _ in 0..2 {
        let error = write(&mut writer, &[good.clone(), Fragile(false)]).await.unwrap_err();
        assert!(error.to_string().ends_with("the second half is missing"), "{error}");
        writer.rolled_back().await.unwrap();
        write(&mut writer, std::slice::from_ref(&good)).await.unwrap();
        writer.committed();
    }
    end::<Fragile, _>(&mut writer).await.unwrap();
}

#[test]
fn an_output_that_cannot_be_serialised_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, json) = (folder.path().join("a.csv"), folder.path().join("a.jsonl"));
    block_on(async {
        fails_in_the_middle(CsvWriter::with_tag("1", &csv)).await;
        fails_in_the_middle(JsonLinesWriter::with_tag("1", &json)).await;
    });
    assert_eq!(std::fs::read_to_string(csv).unwrap(), "a,b\nwhole,record\nwhole,record\n");
    assert_eq!(std::fs::read_to_string(json).unwrap(), "{\"a\":\"whole\",\"b\":\"record\"}\n".repeat(2));
}

#[test]
fn a_rolled_back_end_can_be_followed_by_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    block_on(async {
        let mut writer = JsonLinesWriter::with_tag("1", &path);
        writer.open(None).await.unwrap();
        write(&mut writer, &[1]).await.unwrap();
        writer.committed();
        ItemWriter::<i32>::finish(&mut writer, &mut NoTransaction).await.unwrap();
        ItemWriter::<i32>::flush(&mut writer).await.unwrap();
        ItemWriter::<i32>::rolled_back(&mut writer).await.unwrap();
        write(&mut writer, &[2]).await.unwrap();
        ItemWriter::<i32>::committed(&mut writer);
        end::<i32, _>(&mut writer).await.unwrap();
    });
    assert_eq!(std::fs::read_to_string(path).unwrap(), "1\n2\n");
}

#[test]
fn a_file_of_the_final_name_stays_whole_until_it_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, "old").unwrap();
    block_on(async {
        let mut writer = JsonLinesWriter::with_tag("1", &path).on_existing(OnExisting::Replace);
        writer.open(None).await.unwrap();
        write(&mut writer, &[1]).await.unwrap();
        writer.committed();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        end::<i32, _>(&mut writer).await.unwrap();
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n");
}
