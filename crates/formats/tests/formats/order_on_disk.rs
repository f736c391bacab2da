//! The bytes that a save counts on are on disk before it: seen by the system calls of a process that writes, as far as
//! `strace` is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use oxbatch_core::item::{ItemProcessor, ItemWriter, TeeWriter};
use oxbatch_formats::{Compression, CsvWriter, DistinctProcessor, FileSync, JsonLinesWriter, OnExisting};

use crate::harness::{NoTransaction, block_on, write};

/// Names the folder to the part of the test below that is traced.
const TRACED: &str = "OXBATCH_TEST_TRACED_FOLDER";
const NAME: &str = "order_on_disk::what_a_save_counts_on_is_forced_before_it";
const CALLS: &str = "openat,write,pwrite64,copy_file_range,sendfile,ftruncate,fsync,fdatasync,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat";

/// Marks a save, or an end after which nothing may be lost, among the calls.
fn save(folder: &Path, number: usize) {
    fs::create_dir(folder.join(format!("save-{number}"))).unwrap();
}

async fn drive<W: ItemWriter<u32>>(folder: &Path, mut writer: W) {
    writer.open(None).await.unwrap();
    for chunk in 0..3 {
        write(&mut writer, &[1, 2, 3, 4, 5]).await.unwrap();
        ItemWriter::sync(&mut writer).await.unwrap();
        save(folder, chunk);
        writer.committed();
    }
    writer.finish(&mut NoTransaction).await.unwrap();
    writer.flush().await.unwrap();
    ItemWriter::sync(&mut writer).await.unwrap();
    save(folder, 3);
    writer.committed();
    writer.publish().await.unwrap();
    save(folder, 4);
    writer.close().await.unwrap();
}

async fn drive_keys(folder: &Path, sync: FileSync) {
    let key = |number: &u32, key: &mut oxbatch_formats::DistinctKey| {
        key.push(number);
    };
    let mut processor = DistinctProcessor::with_tag("1", folder.join("new/keys"), key).sync(sync);
    processor.open(None).await.unwrap();
    let syncer = ItemProcessor::<u32>::syncer(&mut processor).unwrap();
    for chunk in 0..3_u32 {
        processor.process(chunk).await.unwrap();
        ItemProcessor::<u32>::checkpoint(&mut processor).unwrap();
        if let Some(syncer) = &syncer {
            syncer.sync().unwrap();
        }
        save(folder, usize::try_from(chunk).unwrap());
    }
    ItemProcessor::<u32>::completed(&mut processor).await.unwrap();
    save(folder, 3);
}

fn traced(folder: &Path) {
    let case = |name: &str| {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    block_on(async {
        for (name, sync) in [("default", FileSync::default()), ("chunks", FileSync::EveryChunk)] {
            let folder = case(name);
            drive(&folder, CsvWriter::with_tag("1", folder.join("new/deeper/a.csv")).sync(sync)).await;
        }
        let folder = case("sequence");
        drive(&folder, CsvWriter::with_tag("1", folder.join("new/a.csv")).roll_after_items(2)).await;
        let folder = case("gzip");
        drive(&folder, CsvWriter::with_tag("1", folder.join("new/a.gz")).compression(Compression::Gzip)).await;
        for (name, before) in [("append", Some("0\n")), ("append-new", None)] {
            let folder = case(name);
            if let Some(before) = before {
                fs::write(folder.join("a"), before).unwrap();
                fs::File::open(folder.join("a")).unwrap().sync_all().unwrap();
                fs::File::open(&folder).unwrap().sync_all().unwrap();
            }
            drive(&folder, JsonLinesWriter::with_tag("1", folder.join("a")).on_existing(OnExisting::Append)).await;
        }
        let folder = case("tee");
        let lines = |name: &str| JsonLinesWriter::with_tag("1", folder.join(name));
        drive(&folder, TeeWriter::new(lines("new/a"), lines("other/b"))).await;
        for (name, sync) in [("keys", FileSync::default()), ("keys-chunks", FileSync::EveryChunk)] {
            drive_keys(&case(name), sync).await;
        }
    });
}

#[test]
fn what_a_save_counts_on_is_forced_before_it() {
    if let Some(folder) = std::env::var_os(TRACED) {
        return traced(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    fs::create_dir(folder.join("out")).unwrap();
    let output = Command::new("strace")
        .args(["-f", "-y", "-s", "0", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(folder.join("trace"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(TRACED, folder.join("out"))
        .output();
    let Ok(output) = output else { return skipped("there is no `strace`") };
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("PTRACE") || text.contains("ptrace") {
        return skipped("`strace` may not trace here");
    }
    assert!(output.status.success(), "{}{text}", String::from_utf8_lossy(&output.stdout));
    let trace = fs::read_to_string(folder.join("trace")).unwrap();
    let (mut disk, mut saves) = (Disk::default(), 0);
    for line in trace.lines() {
        if let Some(save) = disk.take(line, &folder.join("out")) {
            saves += 1;
            assert!(disk.unforced.is_empty(), "{save} would outlive what it counts on: {:#?}", disk.unforced);
        }
    }
    assert_eq!(saves, 7 * 5 + 2 * 4);
}

#[expect(clippy::print_stderr, reason = "who runs the tests is told")]
fn skipped(why: &str) {
    eprintln!("{NAME} was skipped: {why}");
}

/// The writes that no call so far has forced: files by their paths, names by those of their folders, which end in a
/// stroke.
#[derive(Default)]
struct Disk {
    unforced: BTreeSet<String>,
}

impl Disk {
    /// Takes a call; a save that it marks is reported.
    fn take(&mut self, line: &str, within: &Path) -> Option<String> {
        let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
        let (name, arguments) = call.split_once('(')?;
        if call.contains(" = -1 ") {
            return None;
        }
        let within = within.to_str().unwrap();
        let quoted: Vec<&str> =
            arguments.split('"').skip(1).step_by(2).filter(|path| path.starts_with(within)).collect();
        let handle = arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        let folder = |path: &str| format!("{}/", Path::new(path).parent().unwrap().display());
        match (name, quoted.as_slice()) {
            ("mkdir" | "mkdirat", [path]) if path.contains("/save-") => return Some((*path).to_owned()),
            // The folders of the cases are the test's.
            ("mkdir" | "mkdirat", [path]) if folder(path) == format!("{within}/") => {}
            ("mkdir" | "mkdirat" | "unlink" | "unlinkat", [path]) => {
                self.unforced.remove(*path);
                self.unforced.insert(folder(path));
            }
            ("openat", [path]) if call.contains("O_CREAT") && !call.contains("O_TMPFILE") => {
                self.unforced.insert(folder(path));
            }
            ("rename" | "renameat" | "renameat2" | "link" | "linkat", [from, to]) => {
                if self.unforced.remove(*from) {
                    self.unforced.insert((*to).to_owned());
                }
                self.unforced.extend([folder(from), folder(to)]);
            }
            ("write" | "pwrite64" | "ftruncate", _) if handle.starts_with(within) => {
                self.unforced.insert(handle.to_owned());
            }
            ("copy_file_range" | "sendfile", _) => {
                let into = if name == "sendfile" {
                    Some(handle)
                } else {
                    arguments.split('<').nth(2).and_then(|rest| rest.split('>').next())
                };
                self.unforced.extend(into.filter(|path| path.starts_with(within)).map(str::to_owned));
            }
            ("fsync" | "fdatasync", _) => {
                self.unforced.remove(handle);
                self.unforced.remove(&format!("{handle}/"));
            }
            _ => {}
        }
        None
    }
}
