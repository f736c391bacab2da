//! Writers of every format: hooks, sequences of files, compression; the same output wherever an attempt dies.

use std::path::Path;

use oxbatch_core::item::ItemWriter;
#[cfg(any(feature = "gzip", feature = "zstd"))]
use oxbatch_formats::Compression;
use oxbatch_formats::{CsvWriter, FileSummary, JsonArrayWriter, JsonLinesWriter, OnExisting};
use proptest::prelude::*;

use crate::harness::{NoTransaction, block_on, end, names, stored, write};
use crate::writer_harness::{Row, plan, rows, write_all};

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_json_array_without_items_is_empty_and_with_items_has_its_commas() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/a.json");
    block_on(async {
        let mut writer = JsonArrayWriter::<u32>::with_tag("1", &path);
        writer.open(None).await.unwrap();
        end(&mut writer).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]\n");

        writer.open(None).await.unwrap();
        write(&mut writer, &[1, 2]).await.unwrap();
        writer.committed();
        write(&mut writer, &[3]).await.unwrap();
        writer.rolled_back().await.unwrap();
        write(&mut writer, &[4]).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[\n1,\n2,\n4\n]\n");
}

#[test]
fn header_and_footer_see_the_items_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let make = || {
        JsonArrayWriter::<u32>::with_tag("1", &path)
            .header(|_| "{\"numbers\": ".to_owned())
            .footer(|file| format!(", \"count\": {}}}\n", file.items))
    };
    block_on(async {
        let mut writer = make();
        writer.open(None).await.unwrap();
        let checkpoint = write(&mut writer, &[1, 2]).await.unwrap();
        drop(writer);
        let mut writer = make();
        writer.open(Some(&checkpoint)).await.unwrap();
        write(&mut writer, &[3]).await.unwrap();
        end(&mut writer).await.unwrap();
    });
    assert_eq!(text(folder.path(), "a.json"), "{\"numbers\": [\n1,\n2,\n3\n], \"count\": 3}\n");
}

fn rolling(path: &Path) -> CsvWriter<u32> {
    CsvWriter::with_tag("1", path)
        .headers(["n"])
        .header(|file: &FileSummary| format!("# file {}\n", file.number))
        .footer(|file: &FileSummary| format!("# {} of {}\n", file.items, file.total_items))
        .roll_after_items(2)
}

#[test]
fn a_sequence_of_files_is_published_together_each_with_header_and_footer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    block_on(async {
        let mut writer = rolling(&path);
        writer.open(None).await.unwrap();
        write(&mut writer, &[1, 2, 3, 4, 5]).await.unwrap();
        writer.committed();
        assert_eq!(names(folder.path()), ["a-0001.csv.1.part", "a-0002.csv.1.part", "a-0003.csv.1.part"]);
        end(&mut writer).await.unwrap();
    });
    assert_eq!(names(folder.path()), ["a-0001.csv", "a-0002.csv", "a-0003.csv"]);
    assert_eq!(text(folder.path(), "a-0001.csv"), "# file 1\nn\n1\n2\n# 2 of 2\n");
    assert_eq!(text(folder.path(), "a-0002.csv"), "# file 2\nn\n3\n4\n# 2 of 4\n");
    assert_eq!(text(folder.path(), "a-0003.csv"), "# file 3\nn\n5\n# 1 of 5\n");
}

#[test]
fn an_empty_sequence_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let mut writer = rolling(&folder.path().join("a.csv"));
        writer.open(None).await.unwrap();
        end(&mut writer).await.unwrap();
    });
    assert_eq!(names(folder.path()), ["a-0001.csv"]);
    assert_eq!(text(folder.path(), "a-0001.csv"), "# file 1\nn\n# 0 of 0\n");
}

#[test]
fn a_death_between_the_renamings_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    block_on(async {
        let mut writer = rolling(&path);
        writer.open(None).await.unwrap();
        write(&mut writer, &[1, 2, 3, 4, 5]).await.unwrap();
        writer.finish(&mut NoTransaction).await.unwrap();
        let complete = stored(&writer.flush().await.unwrap().unwrap());
        writer.committed();
        drop(writer);
        std::fs::rename(folder.path().join("a-0001.csv.1.part"), folder.path().join("a-0001.csv")).unwrap();
        for _ in 0..2 {
            let mut writer = rolling(&path).on_existing(OnExisting::Refuse);
            writer.open(Some(&complete)).await.unwrap();
            end(&mut writer).await.unwrap();
            assert_eq!(names(folder.path()), ["a-0001.csv", "a-0002.csv", "a-0003.csv"]);
        }
    });
}

#[test]
fn a_finished_file_of_a_sequence_that_is_lost_or_in_the_way_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    block_on(async {
        let mut writer = rolling(&path);
        writer.open(None).await.unwrap();
        let checkpoint = write(&mut writer, &[1, 2, 3]).await.unwrap();
        drop(writer);
        std::fs::remove_file(folder.path().join("a-0001.csv.1.part")).unwrap();
        let message = rolling(&path).open(Some(&checkpoint)).await.unwrap_err().to_string();
        assert!(message.contains("a-0001.csv.1.part' is missing, although it was finished"), "{message}");

        std::fs::write(folder.path().join("a-0002.csv"), "mine").unwrap();
        let mut writer = rolling(&path).on_existing(OnExisting::Refuse);
        writer.open(None).await.unwrap();
        let message = write(&mut writer, &[1, 2, 3]).await.unwrap_err().to_string();
        assert!(message.contains("a-0002.csv' exists already"), "{message}");
        writer.rolled_back().await.unwrap();
        assert_eq!(names(folder.path()), ["a-0001.csv.1.part", "a-0002.csv"]);

        let message = CsvWriter::<u32>::with_tag("1", &path).open(Some(&checkpoint)).await.unwrap_err().to_string();
        assert!(message.contains("checkpoint is of output 'a-0002.csv.1.part'"), "{message}");
    });
}

/// The texts of the published files, in the order of their names.
fn published(folder: &Path) -> Vec<(String, String)> {
    names(folder).into_iter().map(|name| (name.clone(), text(folder, &name))).collect()
}

/// The files that an uninterrupted run makes of the rows in one chunk.
fn straight<W: ItemWriter<Row>>(make: impl Fn(&Path) -> W, rows: &[Row]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    block_on(write_all(
        || make(folder.path()),
        folder.path(),
        rows,
        &vec![(rows.len(), crate::writer_harness::Fate::Committed)],
    ));
    published(folder.path())
}

fn interrupted<W: ItemWriter<Row>>(
    make: impl Fn(&Path) -> W,
    rows: &[Row],
    plan: &crate::writer_harness::Plan,
) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    block_on(write_all(|| make(folder.path()), folder.path(), rows, plan));
    published(folder.path())
}

proptest! {
    #[test]
    fn a_json_array_equals_the_model_whenever_the_process_dies(rows in rows(true), plan in plan()) {
        let files = interrupted(|folder| JsonArrayWriter::with_tag("1", folder.join("a.json")), &rows, &plan);
        prop_assert_eq!(files.len(), 1);
        prop_assert_eq!(serde_json::from_str::<Vec<Row>>(&files[0].1).unwrap(), rows);
    }

    #[test]
    fn a_sequence_equals_that_of_an_uninterrupted_run(
        rows in rows(true), plan in plan(), items in proptest::option::of(1..9_u64), bytes in proptest::option::of(1..90_u64),
    ) {
        fn roll<E, T>(mut writer: oxbatch_formats::FileWriter<E, T>, items: Option<u64>, bytes: Option<u64>)
            -> oxbatch_formats::FileWriter<E, T> {
            if let Some(items) = items { writer = writer.roll_after_items(items); }
            if let Some(bytes) = bytes { writer = writer.roll_after_bytes(bytes); }
            writer.footer(|file| format!("\n# {} {} {}", file.number, file.items, file.total_items))
        }
        let csv = |folder: &Path| roll(CsvWriter::with_tag("1", folder.join("a.csv")), items, bytes);
        prop_assert_eq!(interrupted(csv, &rows, &plan), straight(csv, &rows));
        let json = |folder: &Path| roll(JsonArrayWriter::with_tag("1", folder.join("a.json")), items, bytes);
        prop_assert_eq!(interrupted(json, &rows, &plan), straight(json, &rows));
    }
}

#[cfg(feature = "gzip")]
fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(bytes), &mut text).unwrap();
    text
}

#[cfg(any(feature = "gzip", feature = "zstd"))]
fn lines(rows: &[Row]) -> String {
    rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect()
}

#[cfg(feature = "gzip")]
proptest! {
    #[test]
    fn gzip_holds_the_rows_whenever_the_process_dies(rows in rows(true), plan in plan()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl.gz");
        let make = || JsonLinesWriter::with_tag("1", &path).compression(Compression::Gzip);
        block_on(write_all(make, folder.path(), &rows, &plan));
        prop_assert_eq!(gunzip(&std::fs::read(&path).unwrap()), lines(&rows));
        prop_assert_eq!(names(folder.path()), ["a.jsonl.gz"]);
    }
}

#[cfg(feature = "zstd")]
proptest! {
    #[test]
    fn zstd_holds_the_rows_whenever_the_process_dies(rows in rows(true), plan in plan()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl.zst");
        let make = || JsonLinesWriter::with_tag("1", &path).compression(Compression::Zstd);
        block_on(write_all(make, folder.path(), &rows, &plan));
        let text = zstd::decode_all(&*std::fs::read(&path).unwrap()).unwrap();
        prop_assert_eq!(String::from_utf8(text).unwrap(), lines(&rows));
    }
}

/// A file of more than one buffer in each chunk, and an empty one; the tool of the system reads both.
#[cfg(all(feature = "gzip", unix))]
#[test]
fn the_gzip_tool_reads_members_sequences_and_nothing_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl.gz");
    let many: Vec<u32> = (0..100_000).collect();
    block_on(async {
        let mut writer = JsonLinesWriter::with_tag("1", &path).compression(Compression::Gzip);
        writer.open(None).await.unwrap();
        for chunk in many.chunks(40_000) {
            write(&mut writer, chunk).await.unwrap();
            writer.committed();
        }
        end(&mut writer).await.unwrap();
        let mut writer = JsonLinesWriter::with_tag("1", folder.path().join("b.jsonl.gz"))
            .compression(Compression::Gzip)
            .roll_after_items(60_000);
        writer.open(None).await.unwrap();
        write(&mut writer, &many).await.unwrap();
        end(&mut writer).await.unwrap();
        let mut writer =
            JsonLinesWriter::with_tag("1", folder.path().join("c.jsonl.gz")).compression(Compression::Gzip);
        writer.open(None).await.unwrap();
        end::<u32, _>(&mut writer).await.unwrap();
    });
    let model: String = many.iter().map(|number| format!("{number}\n")).collect();
    for (files, expected) in
        [(&["a.jsonl.gz"][..], &*model), (&["b-0001.jsonl.gz", "b-0002.jsonl.gz"], &model), (&["c.jsonl.gz"], "")]
    {
        let output =
            std::process::Command::new("gzip").arg("-dc").args(files).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8(output.stdout).unwrap() == expected, "{files:?}");
    }
}

/// Names the folder to the part of the test below that runs under a limit of its own.
#[cfg(all(unix, feature = "gzip"))]
const LIMITED: &str = "OXBATCH_TEST_LIMITED_FORMATS";

/// A limit on the size of files fails a write in its middle as a full disk does, and needs no rights.
#[cfg(all(unix, feature = "gzip"))]
#[test]
fn a_full_disk_takes_back_members_and_new_files() {
    if let Some(folder) = std::env::var_os(LIMITED) {
        return under_the_limit(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("format_writers::a_full_disk_takes_back_members_and_new_files")
        .env(LIMITED, folder.path())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("1 passed"), "{report}");
    assert_eq!(names(folder.path()), ["a.json.gz", "b-0001.csv", "c.json"]);
    assert_eq!(gunzip(&std::fs::read(folder.path().join("a.json.gz")).unwrap()), "[\n1,\n2\n]\n");
    assert_eq!(text(folder.path(), "b-0001.csv"), "1\n2\n");
    assert_eq!(text(folder.path(), "c.json"), "[\n1,\n2\n]\n");
}

#[cfg(all(unix, feature = "gzip"))]
fn under_the_limit(folder: &Path) {
    async fn fill<W: ItemWriter<u64>>(mut writer: W) {
        // Hard to compress, and more than the limit even then.
        let many: Vec<u64> = (1..100_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        writer.open(None).await.unwrap();
        write(&mut writer, &[1]).await.unwrap();
        writer.committed();
        let message = write(&mut writer, &many).await.unwrap_err().to_string();
        assert!(message.contains(".1.part' cannot be written: "), "{message}");
        writer.rolled_back().await.unwrap();
        write(&mut writer, &[2]).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
    }
    block_on(async {
        fill(JsonArrayWriter::with_tag("1", folder.join("a.json.gz")).compression(Compression::Gzip)).await;
        fill(CsvWriter::with_tag("1", folder.join("b.csv")).roll_after_items(90_000)).await;
        fill(JsonArrayWriter::with_tag("1", folder.join("c.json"))).await;
    });
}
