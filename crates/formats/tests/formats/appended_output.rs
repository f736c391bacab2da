//! Output that is appended to what is there: behind it once, whoever dies and whoever else writes.

use std::io::Read;
use std::path::{Path, PathBuf};

use oxbatch_core::item::{Checkpoint, ItemError, ItemWriter};
use oxbatch_formats::{
    Compression, CsvWriter, FixedWidthWriter, JsonArrayWriter, JsonLinesWriter, OnExisting, RecordEncoder, XmlWriter,
};
use proptest::prelude::*;
use serde::Serialize;

use crate::harness::{NoTransaction, block_on, end, names, stored, write};
use crate::writer_harness::{Row as AnyRow, plan, rows, write_all};

#[derive(Debug, Clone, Serialize)]
struct Row {
    id: u32,
}

fn csv(tag: &str, path: &Path) -> CsvWriter<Row> {
    CsvWriter::with_tag(tag, path).on_existing(OnExisting::Append)
}

fn lines(tag: &str, path: &Path) -> JsonLinesWriter<u32> {
    JsonLinesWriter::with_tag(tag, path).on_existing(OnExisting::Append)
}

async fn run<O: Send + Sync, W: ItemWriter<O>>(mut writer: W, outputs: &[O]) -> Result<Checkpoint, ItemError> {
    writer.open(None).await?;
    write(&mut writer, outputs).await?;
    writer.committed();
    end(&mut writer).await
}

/// An attempt that commits the end of its output and dies before it is published.
async fn complete(mut writer: JsonLinesWriter<u32>, outputs: &[u32]) -> Checkpoint {
    writer.open(None).await.unwrap();
    write(&mut writer, outputs).await.unwrap();
    ItemWriter::<u32>::committed(&mut writer);
    ItemWriter::<u32>::finish(&mut writer, &mut NoTransaction).await.unwrap();
    stored(&ItemWriter::<u32>::flush(&mut writer).await.unwrap().unwrap())
}

/// The next attempt.
async fn go_on(mut writer: JsonLinesWriter<u32>, checkpoint: &Checkpoint) -> Result<Checkpoint, ItemError> {
    writer.open(Some(checkpoint)).await?;
    end::<u32, _>(&mut writer).await
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

struct TestStore {
    folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> TestStore {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    TestStore { folder, path }
}

#[test]
fn a_second_instance_appends_behind_the_first_and_the_header_stands_once() {
    let TestStore { folder, path } = place();
    let hooked = |tag: &str| {
        csv(tag, &path).header(|_| "# rows\n".to_owned()).footer(|file| format!("# {} so far\n", file.total_items))
    };
    block_on(async {
        run(hooked("1"), &[Row { id: 1 }, Row { id: 2 }]).await.unwrap();
        run(hooked("2"), &[Row { id: 3 }]).await.unwrap();
        run(hooked("3"), &[]).await.unwrap();
    });
    assert_eq!(text(&path), "# rows\nid\n1\n2\n# 2 so far\n3\n# 1 so far\n# 0 so far\n");
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn an_empty_file_counts_as_none_and_a_last_line_without_end_gets_one() {
    let TestStore { folder: _folder, path } = place();
    for (before, after) in [("", "id\n7\n"), ("id\n1", "id\n1\n7\n"), ("id\n1\n", "id\n1\n7\n"), ("\n", "\n7\n")] {
        std::fs::write(&path, before).unwrap();
        block_on(async {
            let mut writer = csv("1", &path).headers(["id"]);
            writer.open(None).await.unwrap();
            // The first chunk is rolled back, and with it nothing of what was there.
            write(&mut writer, &[Row { id: 6 }]).await.unwrap();
            writer.rolled_back().await.unwrap();
            write(&mut writer, &[Row { id: 7 }]).await.unwrap();
            writer.committed();
            assert_eq!(text(&path), before, "nobody sees half of it");
            end::<Row, _>(&mut writer).await.unwrap();
        });
        assert_eq!(text(&path), after);
    }
}

#[test]
fn a_death_at_any_point_of_the_publication_neither_doubles_nor_loses_the_output() {
    for before in [None, Some(""), Some("1\n"), Some("1")] {
        let TestStore { folder, path } = place();
        if let Some(before) = before {
            std::fs::write(&path, before).unwrap();
        }
        let expected = if before.unwrap_or_default().is_empty() { "2\n3\n" } else { "1\n2\n3\n" };
        block_on(async {
            let checkpoint = complete(lines("1", &path), &[2, 3]).await;
            if before.is_none() {
                // It died when it had made an empty file to lock.
                std::fs::write(&path, "").unwrap();
            }
            // The first turn finds what died before the file got its name, the others what died right after.
            for _ in 0..3 {
                let again = go_on(lines("1", &path), &checkpoint).await.unwrap();
                assert_eq!(again.as_json(), checkpoint.as_json());
                assert_eq!(text(&path), expected, "{before:?}");
                assert_eq!(names(folder.path()), ["a"]);
            }
            // So does one that comes when the next instance has appended already.
            run(lines("2", &path), &[4]).await.unwrap();
            go_on(lines("1", &path), &checkpoint).await.unwrap();
            assert_eq!(text(&path), format!("{expected}4\n"));
            std::fs::write(&path, "1\n2\n8\n4\n").unwrap();
            assert!(go_on(lines("1", &path), &checkpoint).await.is_err(), "what was published was changed");
        });
    }
}

#[test]
fn a_file_that_somebody_changed_meanwhile_is_told_and_nothing_is_lost() {
    let told = |message: String, path: &Path| {
        assert!(message.contains(&format!("file '{}' is not what it was when this step began", path.display())));
        assert!(message.contains("(4 bytes); what the step has written is kept in '"), "{message}");
        assert!(message.contains("a.1.part'; put the file back, or launch with force"), "{message}");
    };
    for other in [Some("1\n"), Some("1\n2\n9\n"), Some("1\n2\n3\n"), Some("1\n7\n"), Some(""), None] {
        let TestStore { folder: _folder, path } = place();
        let part = path.with_file_name("a.1.part");
        std::fs::write(&path, "1\n2\n").unwrap();
        let change = || match other {
            Some(other) => std::fs::write(&path, other).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        };
        block_on(async {
            let checkpoint = complete(lines("1", &path), &[3]).await;
            // While the attempt runs.
            let mut writer = lines("1", &path);
            writer.open(Some(&checkpoint)).await.unwrap();
            change();
            told(end::<u32, _>(&mut writer).await.unwrap_err().to_string(), &path);
            drop(writer);
            // Before the next one.
            told(go_on(lines("1", &path), &checkpoint).await.unwrap_err().to_string(), &path);
            assert_eq!(text(&part), "1\n2\n3\n");
            assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), other);
            // Once it is as it was, the same attempt goes on.
            std::fs::write(&path, "1\n2\n").unwrap();
            go_on(lines("1", &path), &checkpoint).await.unwrap();
            assert_eq!(text(&path), "1\n2\n3\n");
            // With force it stands behind what is there.
            let _ = complete(lines("1", &path), &[4]).await;
            change();
            run(lines("1", &path), &[5]).await.unwrap();
            assert_eq!(text(&path), format!("{}5\n", other.unwrap_or_default()));
        });
    }
}

#[test]
fn of_two_instances_that_write_the_same_one_after_the_other_none_is_taken_for_the_other() {
    for before in [None, Some("0\n")] {
        let TestStore { folder: _folder, path } = place();
        if let Some(before) = before {
            std::fs::write(&path, before).unwrap();
        }
        block_on(async {
            // It has died, and the other one comes before it is restarted.
            let first = complete(lines("1", &path), &[1]).await;
            run(lines("2", &path), &[1]).await.unwrap();
            let message = go_on(lines("1", &path), &first).await.unwrap_err().to_string();
            assert!(message.contains("is not what it was"), "{message}");
            run(lines("1", &path), &[1]).await.unwrap();
        });
        assert_eq!(text(&path), format!("{}1\n1\n", before.unwrap_or_default()));
    }
}

#[test]
fn a_publication_that_fails_leaves_nothing_under_a_final_name_that_nothing_had() {
    for on_existing in [OnExisting::Append, OnExisting::Refuse] {
        let TestStore { folder, path } = place();
        block_on(async {
            let mut writer = lines("1", &path).on_existing(on_existing);
            writer.open(None).await.unwrap();
            write(&mut writer, &[1]).await.unwrap();
            ItemWriter::<u32>::committed(&mut writer);
            std::fs::remove_file(path.with_file_name("a.1.part")).unwrap();
            let message = end::<u32, _>(&mut writer).await.unwrap_err().to_string();
            assert!(message.contains("a.1.part' cannot be renamed to '"), "{message}");
        });
        assert_eq!(names(folder.path()), [""; 0], "{on_existing:?}");
    }
}

#[test]
fn a_death_that_left_both_names_is_made_good() {
    for on_existing in [OnExisting::Append, OnExisting::Refuse, OnExisting::Replace] {
        let TestStore { folder, path } = place();
        block_on(async {
            let checkpoint = complete(lines("1", &path).on_existing(on_existing), &[1]).await;
            // Where the file system cannot rename without replacing, the new name comes before the old one goes.
            std::fs::hard_link(path.with_file_name("a.1.part"), &path).unwrap();
            go_on(lines("1", &path).on_existing(on_existing), &checkpoint).await.unwrap();
            assert_eq!((text(&path).as_str(), names(folder.path())), ("1\n", vec!["a".to_owned()]), "{on_existing:?}");
            // One that begins anew does not write into what was published.
            std::fs::hard_link(&path, path.with_file_name("a.1.part")).unwrap();
            let mut writer = lines("1", &path).on_existing(OnExisting::Replace);
            writer.open(None).await.unwrap();
            assert_eq!(text(&path), "1\n");
        });
    }
}

#[test]
fn one_that_is_being_moved_by_another_is_told_and_the_restart_goes_on() {
    let TestStore { folder: _folder, path } = place();
    std::fs::write(&path, "1\n").unwrap();
    block_on(async {
        let checkpoint = complete(lines("1", &path), &[2]).await;
        let other = std::fs::File::open(&path).unwrap();
        other.lock().unwrap();
        let message = go_on(lines("1", &path), &checkpoint).await.unwrap_err().to_string();
        assert!(message.ends_with("is held by another that appends to it; restart"), "{message}");
        drop(other);
        go_on(lines("1", &path), &checkpoint).await.unwrap();
    });
    assert_eq!(text(&path), "1\n2\n");
}

/// A format of the author's that does not say that it can be appended to.
#[derive(Default)]
struct Own;

impl RecordEncoder<Row> for Own {
    fn encode(&mut self, _: &Row, _: u64, _: &mut Vec<u8>) -> Result<(), ItemError> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_appended_to_is_refused_before_anything_is_touched() {
    async fn refused<W: ItemWriter<Row>>(mut writer: W, problem: &str) {
        let message = writer.open(None).await.unwrap_err().to_string();
        assert!(message.contains(problem), "{message}");
    }
    let TestStore { folder, path } = place();
    let append = OnExisting::Append;
    block_on(async {
        refused(JsonArrayWriter::with_tag("1", &path).on_existing(append), "JsonArrayWriter cannot append: ").await;
        refused(XmlWriter::with_tag("1", &path).on_existing(append), "XmlWriter cannot append: ").await;
        let own = oxbatch_formats::FileWriter::<Own, Row>::with_tag("1", &path).on_existing(append);
        refused(own, "this format cannot be appended to").await;
        refused(csv("1", &path).roll_after_items(2), "a' is a sequence of files, which is not appended to").await;
        refused(csv("1", &path).roll_after_bytes(2), "leave `roll_after_items` and `roll_after_bytes` away").await;
        refused(FixedWidthWriter::with_tag("1", folder.path()).on_existing(append), "has no columns").await;
        refused(csv("1", folder.path()), "is not a file").await;
    });
    assert!(names(folder.path()).is_empty());
}

fn unpacked(path: &Path, compression: Compression) -> String {
    let (file, mut text) = (std::fs::File::open(path).unwrap(), String::new());
    match compression {
        Compression::Gzip => flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap(),
        _ => zstd::stream::read::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap(),
    };
    text
}

#[test]
fn members_follow_members_and_a_file_that_is_compressed_otherwise_is_refused() {
    for (compression, name) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let TestStore { folder: _folder, path } = place();
        let packed = |tag: &str| csv(tag, &path).compression(compression);
        block_on(async {
            // An empty input makes a member without text: the header is still due.
            run(packed("1"), &[]).await.unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() > 0);
            run(packed("2"), &[Row { id: 1 }]).await.unwrap();
            run(packed("3"), &[Row { id: 2 }]).await.unwrap();
            run(packed("4"), &[]).await.unwrap();
            assert_eq!(unpacked(&path, compression), "id\n1\n2\n");
            let before = std::fs::read(&path).unwrap();
            let message = run(csv("5", &path), &[Row { id: 3 }]).await.unwrap_err().to_string();
            assert!(message.ends_with(&format!("is {name}, but this step writes not compressed")), "{message}");
            assert_eq!(std::fs::read(&path).unwrap(), before);
            std::fs::write(&path, "id\n1\n").unwrap();
            let message = run(packed("6"), &[Row { id: 3 }]).await.unwrap_err().to_string();
            assert!(message.ends_with(&format!("is not compressed, but this step writes {name}")), "{message}");
            assert_eq!(text(&path), "id\n1\n");
        });
    }
}

#[cfg(unix)]
#[test]
fn permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let TestStore { folder: _folder, path } = place();
    std::fs::write(&path, "1\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
    block_on(run(lines("1", &path), &[2])).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
}

proptest! {
    #[test]
    fn what_is_appended_equals_the_model_whenever_the_process_dies(
        rows in rows(true), plan in plan(), before in prop_oneof![Just(""), Just("{}"), Just("{}\n"), Just("\n\n")],
    ) {
        let TestStore { folder, path } = place();
        std::fs::write(&path, before).unwrap();
        let make = || JsonLinesWriter::with_tag("1", &path).on_existing(OnExisting::Append);
        block_on(write_all(make, folder.path(), &rows, &plan));
        let line = |row: &AnyRow| serde_json::to_string(row).unwrap() + "\n";
        let end = if before == "{}" { "\n" } else { "" };
        prop_assert_eq!(text(&path), format!("{before}{end}{}", rows.iter().map(line).collect::<String>()));
        prop_assert_eq!(names(folder.path()), ["a"]);
    }
}
