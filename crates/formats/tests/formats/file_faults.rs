//! Output files that are locked, lost, changed, in the way or on a full disk.

use std::path::Path;
use std::process::Command;

use oxbatch_core::item::{Checkpoint, ItemWriter};
use oxbatch_formats::{CsvWriter, FileSync, JsonLinesWriter, OnExisting};

use crate::harness::{NoTransaction, block_on, end, names, stored, write};

type Lines = JsonLinesWriter<u32>;

fn lines(path: &Path) -> Lines {
    JsonLinesWriter::with_tag("1-Export", path)
}

/// An attempt that commits two chunks and dies.
fn attempt(path: &Path) -> Checkpoint {
    block_on(async {
        let mut writer = lines(path);
        writer.open(None).await.unwrap();
        write(&mut writer, &[1, 2, 3]).await.unwrap();
        writer.committed();
        let checkpoint = write(&mut writer, &[4]).await.unwrap();
        writer.committed();
        write(&mut writer, &[5]).await.unwrap();
        checkpoint
    })
}

fn open(writer: &mut Lines, checkpoint: Option<&Checkpoint>) -> String {
    block_on(writer.open(checkpoint)).unwrap_err().to_string()
}

#[test]
fn an_earlier_attempt_that_is_still_alive_keeps_its_successor_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let mut zombie = lines(&path);
    let checkpoint = block_on(async {
        zombie.open(None).await.unwrap();
        write(&mut zombie, &[1]).await.unwrap()
    });
    for checkpoint in [Some(&checkpoint), None] {
        let message = open(&mut lines(&path), checkpoint);
        assert!(
            message.ends_with("a.jsonl.1-Export.part' is held by an earlier attempt that is still alive"),
            "{message}"
        );
    }
    assert_eq!(std::fs::read_to_string(path.with_file_name("a.jsonl.1-Export.part")).unwrap(), "1\n");
    drop(zombie);
    block_on(lines(&path).open(Some(&checkpoint))).unwrap();
}

#[test]
fn other_instances_and_steps_write_under_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    for tag in ["1-Export", "2-Export", "1-Other step"] {
        block_on(Lines::with_tag(tag, &path).open(None)).unwrap();
    }
    assert_eq!(names(folder.path()).len(), 3);
}

#[test]
fn a_file_that_is_shorter_than_its_checkpoint_or_changed_or_missing_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let part = folder.path().join("a.jsonl.1-Export.part");
    let checkpoint = attempt(&path);
    for (text, problem) in [
        ("1\n2\n3\n", "has 6 bytes, it is shorter than its checkpoint says (8)"),
        ("1\n2\n3\n7\n5\n", "was changed: what stands before its checkpoint is not what was written"),
    ] {
        std::fs::write(&part, text).unwrap();
        let message = open(&mut lines(&path), Some(&checkpoint));
        assert!(message.contains("a.jsonl.1-Export.part'") && message.contains(problem), "{message}");
        assert_eq!(std::fs::read_to_string(&part).unwrap(), text, "it is left as it was");
    }
    std::fs::remove_file(&part).unwrap();
    let message = open(&mut lines(&path), Some(&checkpoint));
    assert!(message.contains("is missing, although its checkpoint says 8 bytes"), "{message}");
    let message = open(&mut lines(&folder.path().join("b.jsonl")), Some(&checkpoint));
    assert!(message.contains("is of output 'a.jsonl.1-Export.part'"), "{message}");
    block_on(lines(&path).open(None)).unwrap();
}

/// After a loss of power a file can have its new length and miss pages before it, which read as zeros.
#[test]
fn a_page_that_never_reached_the_disk_is_a_fault_or_cut_off() {
    const PAGE: usize = 4096;
    let many: Vec<u32> = (0..7_000).collect();
    // The chunks whose checkpoint is kept, and what was lost behind it or before it.
    for (kept, page, is_fault) in [(2, 1, true), (2, 5, true), (1, 6, false), (0, 1, false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let part = folder.path().join("a.jsonl.1-Export.part");
        block_on(async {
            let mut writer = lines(&path).sync(FileSync::AtEnd);
            writer.open(None).await.unwrap();
            let mut checkpoints = vec![stored(&writer.flush().await.unwrap().unwrap())];
            for chunk in many.chunks(3_500) {
                checkpoints.push(write(&mut writer, chunk).await.unwrap());
                writer.committed();
            }
            drop(writer);
            let mut bytes = std::fs::read(&part).unwrap();
            // The end of the file is there, so its length and its last bytes say nothing.
            assert!(bytes.len() > (page + 1) * PAGE + 256);
            bytes[page * PAGE..(page + 1) * PAGE].fill(0);
            std::fs::write(&part, &bytes).unwrap();
            let mut writer = lines(&path);
            let opened = writer.open(Some(&checkpoints[kept])).await;
            if is_fault {
                let message = opened.unwrap_err().to_string();
                assert!(message.contains("a.jsonl.1-Export.part' was not on disk as its checkpoint says"), "{message}");
                assert_eq!(std::fs::read(&part).unwrap(), bytes, "it is left as it was");
                return;
            }
            opened.unwrap();
            write(&mut writer, &many[kept * 3_500..]).await.unwrap();
            writer.committed();
            end(&mut writer).await.unwrap();
            let expected: String = many.iter().map(|number| format!("{number}\n")).collect();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        });
    }
}

#[test]
fn what_was_forced_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    block_on(async {
        let mut writer = lines(&path).sync(FileSync::EveryChunk);
        writer.open(None).await.unwrap();
        for _ in 0..2 {
            let checkpoint = write(&mut writer, &[1, 2, 3]).await.unwrap();
            assert!(!checkpoint.as_json().contains("unforced"), "{checkpoint:?}");
            writer.committed();
        }
        drop(writer);
        let mut writer = lines(&path).sync(FileSync::AtEnd);
        writer.open(None).await.unwrap();
        for bytes in [6, 12] {
            let checkpoint = write(&mut writer, &[1, 2, 3]).await.unwrap();
            assert!(checkpoint.as_json().contains(&format!("\"unforced\":{{\"bytes\":{bytes},")), "{checkpoint:?}");
            writer.committed();
        }
        let checkpoint = end(&mut writer).await.unwrap();
        assert!(!checkpoint.as_json().contains("unforced"), "{checkpoint:?}");
    });
}

#[test]
fn what_was_written_behind_the_checkpoint_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let checkpoint = attempt(&path);
    block_on(async {
        let mut writer = lines(&path);
        writer.open(Some(&checkpoint)).await.unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("a.jsonl.1-Export.part")).unwrap(), "1\n2\n3\n4\n");
        write(&mut writer, &[6]).await.unwrap();
        writer.committed();
        end(&mut writer).await.unwrap();
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n3\n4\n6\n");
}

#[test]
fn a_death_around_the_publication_is_made_good_by_the_next_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    block_on(async {
        let mut writer = CsvWriter::<u32>::with_tag("1", &path).headers(["n"]);
        writer.open(None).await.unwrap();
        write(&mut writer, &[1]).await.unwrap();
        writer.committed();
        writer.finish(&mut NoTransaction).await.unwrap();
        let complete = writer.flush().await.unwrap().unwrap();
        writer.committed();
        drop(writer);

        // The first turn finds what died before the publication, the second what died right after it.
        for _ in 0..2 {
            let mut writer = CsvWriter::<u32>::with_tag("1", &path).headers(["n"]).on_existing(OnExisting::Refuse);
            writer.open(Some(&complete)).await.unwrap();
            let again = end::<u32, _>(&mut writer).await.unwrap();
            assert_eq!(again.as_json(), stored(&complete).as_json());
            assert_eq!(names(folder.path()), ["a.csv"]);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "n\n1\n");
        }

        let mut writer = CsvWriter::<u32>::with_tag("1", &path).headers(["n"]);
        writer.open(Some(&complete)).await.unwrap();
        let message = write(&mut writer, &[2]).await.unwrap_err().to_string();
        assert!(message.contains("was complete in an earlier attempt, but the input has more items now"), "{message}");
        writer.rolled_back().await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "n\n1\n");

        std::fs::write(&path, "n\n2\n").unwrap();
        let message = writer.open(Some(&complete)).await.unwrap_err().to_string();
        assert!(message.contains("a.csv' was changed"), "{message}");
        std::fs::write(&path, "n\n").unwrap();
        let message = writer.open(Some(&complete)).await.unwrap_err().to_string();
        assert!(message.contains("is missing"), "{message}");
    });
}

#[test]
fn a_file_that_may_not_be_replaced_fails_the_step_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    block_on(async {
        let mut writer = lines(&path).on_existing(OnExisting::Refuse);
        writer.open(None).await.unwrap();
        write(&mut writer, &[1]).await.unwrap();
        std::fs::write(&path, "mine").unwrap();
        let message = end(&mut writer).await.unwrap_err().to_string();
        assert!(message.ends_with("a.jsonl' exists already and this step may not replace it"), "{message}");
    });
    let mut writer = lines(&path).on_existing(OnExisting::Refuse);
    let message = open(&mut writer, None);
    assert!(message.ends_with("exists already and this step may not replace it"), "{message}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_path_that_cannot_be_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = open(&mut lines(folder.path()), None);
    assert_eq!(message, format!("output path '{}' is not a file", folder.path().display()));
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let message = open(&mut lines(&file.join("a.jsonl")), None);
    assert!(message.starts_with(&format!("folder '{}' cannot be created: ", file.display())), "{message}");
    let message = open(&mut lines(Path::new("/")), None);
    assert_eq!(message, "output path '/' is not a file");
    let message = open(&mut lines(&folder.path().join("x".repeat(250))), None);
    assert!(message.contains(".1-Export.part' cannot be opened: "), "{message}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(open(&mut lines(&path), None), format!("output path '{}' is not a file", path.display()));
    assert_eq!(names(folder.path()), ["socket"]);
}

/// Names the folder to the part of the test below that runs under a limit of its own.
const LIMITED: &str = "OXBATCH_TEST_LIMITED_FOLDER";

/// A limit on the size of files fails a write in its middle as a full disk does, and needs no rights.
#[cfg(unix)]
#[test]
fn a_full_disk_in_the_middle_of_a_chunk_is_told_and_the_chunk_is_cut_off() {
    if let Some(folder) = std::env::var_os(LIMITED) {
        return under_the_limit(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "file_faults::a_full_disk_in_the_middle_of_a_chunk_is_told_and_the_chunk_is_cut_off";
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(LIMITED, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(names(folder.path()), ["a.csv", "a.jsonl"]);
}

#[cfg(unix)]
fn under_the_limit(folder: &Path) {
    // 64 blocks of 512 or 1,024 bytes.
    let many = vec![u32::MAX; 100_000];
    block_on(async {
        let path = folder.join("a.jsonl");
        let mut writer = lines(&path);
        writer.open(None).await.unwrap();
        fill(&mut writer, &many, &path).await;
        let path = folder.join("a.csv");
        let mut writer = CsvWriter::with_tag("1-Export", &path);
        writer.open(None).await.unwrap();
        fill(&mut writer, &many, &path).await;
    });
}

#[cfg(unix)]
async fn fill<W: ItemWriter<u32>>(writer: &mut W, many: &[u32], path: &Path) {
    write(writer, &[1]).await.unwrap();
    writer.committed();
    let message = write(writer, many).await.unwrap_err().to_string();
    assert!(message.contains(&format!("{}.1-Export.part' cannot be written: ", path.display())), "{message}");
    writer.rolled_back().await.unwrap();
    write(writer, &[2]).await.unwrap();
    writer.committed();
    end(writer).await.unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "1\n2\n");
}
