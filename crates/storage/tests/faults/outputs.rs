//! Files of every format whose disk is full, whose folder cannot be, or that somebody touched between two attempts:
//! told, nothing lost, and once the cause is mended the restart makes the very file that an untroubled run makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::item::FunctionProcessor;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::Node;
use oxbatch_core::{ChunkStep, Engine, EngineConfig, ItemError, Job, JobExecution, JobRegistry, Status};
use oxbatch_formats::{
    Align, Compression, CsvWriter, FileWriter, FixedWidthWriter, JsonArrayWriter, JsonLinesWriter, OnExisting,
    RecordEncoder, XmlWriter,
};
use oxbatch_storage::SqliteRepository;
use serde::Serialize;
use tempfile::TempDir;

use crate::harness::{Numbers, ended};

#[derive(Debug, Serialize)]
struct Row {
    id: u64,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Output {
    Csv,
    FixedWidth,
    JsonLines,
    JsonArray,
    Xml,
    Gzip,
    Zstd,
    Rolled,
}

const OUTPUTS: [Output; 8] = [
    Output::Csv,
    Output::FixedWidth,
    Output::JsonLines,
    Output::JsonArray,
    Output::Xml,
    Output::Gzip,
    Output::Zstd,
    Output::Rolled,
];

/// The trouble that a step meets by itself, if any.
#[derive(Debug, Clone, Default)]
struct Trouble {
    items: u64,
    chunk: u32,
    /// The item that cannot be read as long as this is set.
    at: Option<(u64, Arc<AtomicBool>)>,
    on_existing: OnExisting,
    rolls: bool,
}

impl Output {
    fn job(self, path: PathBuf, trouble: &Trouble) -> Job {
        let trouble = &Trouble { rolls: self == Self::Rolled, ..trouble.clone() };
        match self {
            Self::Csv => job(path, trouble, |writer: CsvWriter<Row>| writer),
            Self::FixedWidth => job(path, trouble, |writer: FixedWidthWriter<Row>| {
                writer.column("id", 8, Align::Right).column("name", 32, Align::Left)
            }),
            Self::JsonLines => job(path, trouble, |writer: JsonLinesWriter<Row>| writer),
            Self::JsonArray => job(path, trouble, |writer: JsonArrayWriter<Row>| writer),
            Self::Xml => job(path, trouble, |writer: XmlWriter<Row>| writer),
            Self::Gzip => job(path, trouble, |writer: CsvWriter<Row>| writer.compression(Compression::Gzip)),
            Self::Zstd => job(path, trouble, |writer: JsonLinesWriter<Row>| writer.compression(Compression::Zstd)),
            Self::Rolled => job(path, trouble, |writer: JsonArrayWriter<Row>| {
                writer.footer(|file| format!(" {} of {}", file.items, file.total_items))
            }),
        }
    }
}

fn job<E>(path: PathBuf, trouble: &Trouble, set: fn(FileWriter<E, Row>) -> FileWriter<E, Row>) -> Job
where
    E: RecordEncoder<Row> + Default + 'static,
{
    let Trouble { items, chunk, at, on_existing, rolls } = trouble.clone();
    let step = ChunkStep::builder("Export")
        .reader(move |_| {
            let at = at.clone();
            Ok(Numbers::new(items, move |n| match &at {
                Some((item, set)) if n == *item && set.load(Ordering::SeqCst) => Err(ItemError::other("no more today")),
                _ => Ok(()),
            }))
        })
        .processor(|_| {
            // Text that does not compress well.
            Ok(FunctionProcessor::new(|id: u64| {
                Ok(Some(Row {
                    id,
                    name: format!(
                        "{:x}{:x}",
                        id.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                        id.wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
                    ),
                }))
            }))
        })
        .writer(move |context| {
            let writer = set(FileWriter::new(context, &path));
            let writer = if rolls { writer.roll_after_items(items * 3 / 7) } else { writer };
            Ok(writer.on_existing(on_existing))
        })
        .chunk_size(chunk);
    Job::builder("Export").step(step).build().unwrap()
}

/// Launches on a node of its own and waits for the end.
async fn run(folder: &Path, job: Job) -> JobExecution {
    launch(folder, job, LaunchOptions::default()).await
}

async fn launch(folder: &Path, job: Job, options: LaunchOptions) -> JobExecution {
    let repository = Arc::new(SqliteRepository::open(&folder.join("oxbatch.db")).unwrap());
    let registry = JobRegistry::new([job]).unwrap();
    let engine = Engine::start(registry, repository, EngineConfig::new(Node::new("test"))).await.unwrap();
    let launched = engine.launch("Export", GivenParameters::default(), options).await.unwrap();
    let execution = ended(&engine, launched.execution.id).await;
    engine.shutdown().await;
    execution
}

/// Runs and takes what is said of the failure.
async fn fails(folder: &Path, job: Job) -> String {
    let execution = run(folder, job).await;
    assert_eq!(execution.status, Status::Failed, "{execution:?}");
    execution.exit_message.unwrap()
}

/// The files of an output with what stands in them.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.starts_with("out"))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The files of a run without trouble.
async fn untroubled(output: Output, trouble: &Trouble) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let trouble = Trouble { at: None, ..trouble.clone() };
    let execution = run(folder.path(), output.job(folder.path().join("out.txt"), &trouble)).await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    files(folder.path())
}

async fn completes(output: Output, folder: &Path, trouble: &Trouble) {
    let execution = run(folder, output.job(folder.join("out.txt"), trouble)).await;
    assert_eq!(execution.status, Status::Completed, "{output:?}: {execution:?}");
    assert!(files(folder) == untroubled(output, trouble).await, "{output:?} is not what an untroubled run makes");
}

/// Trap 30: what is half written is picked up by the next in line.
#[tokio::test]
async fn nobody_sees_an_output_of_its_final_name_before_the_step_is_complete() {
    for output in OUTPUTS {
        let (folder, trouble, _) = half(output).await;
        assert!(files(folder.path()).iter().all(|(name, _)| name.ends_with(".part")), "{output:?}");
        completes(output, folder.path(), &trouble).await;
        let complete = files(folder.path());
        assert!(complete.iter().all(|(name, _)| !name.ends_with(".part")), "{output:?}");
    }
}

/// Names the folder, and the output, to the part of the test below that runs under a limit of its own.
const LIMITED: &str = "OXBATCH_TEST_LIMITED_FOLDER";
const LIMITED_OUTPUT: &str = "OXBATCH_TEST_LIMITED_OUTPUT";

/// A limit on the size of files fails a write in its middle as a full disk does, and needs no rights. The database
/// stays below it: few commits, and its file is there before.
#[tokio::test]
async fn a_disk_that_is_full_in_the_middle_fails_the_step_and_the_restart_makes_the_same_files() {
    let trouble = Trouble { items: 50_000, chunk: 5_000, ..Trouble::default() };
    if let Some(folder) = std::env::var_os(LIMITED) {
        let (folder, name) = (Path::new(&folder), std::env::var(LIMITED_OUTPUT).unwrap());
        let output = OUTPUTS.into_iter().find(|output| format!("{output:?}") == name).unwrap();
        let message = fails(folder, output.job(folder.join("out.txt"), &trouble)).await;
        let part = if output == Output::Rolled { "out-0001.txt" } else { "out.txt" };
        let expected = format!("output file '{}.1-Export.part' cannot be written: ", folder.join(part).display());
        assert!(message.contains(&expected), "{message}");
        return;
    }
    for output in OUTPUTS {
        let folder = tempfile::tempdir().unwrap();
        drop(SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap());
        let name = "outputs::a_disk_that_is_full_in_the_middle_fails_the_step_and_the_restart_makes_the_same_files";
        let child = Command::new("bash")
            .args(["-c", "trap '' XFSZ; ulimit -f 700; exec \"$0\" --exact \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg(name)
            .env(LIMITED, folder.path())
            .env(LIMITED_OUTPUT, format!("{output:?}"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&child.stderr)
        );
        assert!(files(folder.path()).iter().all(|(name, _)| name.ends_with(".part")), "nothing is published");
        completes(output, folder.path(), &trouble).await;
    }
}

/// An attempt that has committed some chunks and failed, and the switch of its trouble.
async fn half(output: Output) -> (TempDir, Trouble, Arc<AtomicBool>) {
    let folder = tempfile::tempdir().unwrap();
    let set = Arc::new(AtomicBool::new(true));
    let trouble = Trouble { items: 7_000, chunk: 500, at: Some((6_400, Arc::clone(&set))), ..Trouble::default() };
    let message = fails(folder.path(), output.job(folder.path().join("out.txt"), &trouble)).await;
    assert!(message.contains("no more today"), "{message}");
    set.store(false, Ordering::SeqCst);
    (folder, trouble, set)
}

#[tokio::test]
async fn a_temporary_file_that_was_touched_between_two_attempts_is_told_and_once_restored_goes_on() {
    for output in OUTPUTS {
        let (folder, trouble, _) = half(output).await;
        let parts = files(folder.path());
        let (name, whole) = parts.last().unwrap();
        let part = folder.path().join(name);
        let mut changed = whole.clone();
        let last = whole.len() - 1;
        changed[last] ^= 1;
        for (text, problem) in [
            (None, "is missing, although its checkpoint says"),
            (Some(&whole[..last]), "it is shorter than its checkpoint says"),
            (Some(&[][..]), "it is shorter than its checkpoint says"),
            (Some(&changed[..]), "was changed: what stands before its checkpoint is not what was written"),
        ] {
            match text {
                Some(text) => std::fs::write(&part, text).unwrap(),
                None => std::fs::remove_file(&part).unwrap(),
            }
            let message = fails(folder.path(), output.job(folder.path().join("out.txt"), &trouble)).await;
            assert!(message.contains(&part.display().to_string()) && message.contains(problem), "{message}");
            assert!(message.ends_with("restore it or launch with force to start anew"), "{message}");
            assert!(text.is_none_or(|text| std::fs::read(&part).unwrap() == text), "it is left as it was");
        }
        std::fs::write(&part, whole).unwrap();
        if output == Output::Rolled {
            let (first, text) = &parts[0];
            std::fs::remove_file(folder.path().join(first)).unwrap();
            let message = fails(folder.path(), output.job(folder.path().join("out.txt"), &trouble)).await;
            assert!(message.contains(first) && message.contains("is missing, although it was finished"), "{message}");
            std::fs::write(folder.path().join(first), text).unwrap();
        }
        completes(output, folder.path(), &trouble).await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_told_and_once_mended_the_restart_goes_on() {
    let trouble = Trouble { items: 100, chunk: 10, ..Trouble::default() };
    for output in OUTPUTS {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        std::fs::write(&below, "").unwrap();
        let job = || output.job(below.join("deeper/out.txt"), &trouble);
        let message = fails(folder.path(), job()).await;
        let expected = format!("folder '{}' cannot be created: ", below.join("deeper").display());
        assert!(message.contains(&expected), "{message}");
        std::fs::remove_file(&below).unwrap();
        assert_eq!(run(folder.path(), job()).await.status, Status::Completed);
        assert!(files(&below.join("deeper")) == untroubled(output, &trouble).await, "a missing folder is made");
    }
}

/// Nobody may make files there, not even root.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_that_is_read_only_is_told() {
    let trouble = Trouble { items: 100, chunk: 10, ..Trouble::default() };
    let folder = tempfile::tempdir().unwrap();
    let message = fails(folder.path(), Output::Csv.job(PathBuf::from("/sys/out.txt"), &trouble)).await;
    assert!(message.contains("output file '/sys/out.txt.1-Export.part' cannot be opened: "), "{message}");
}

#[tokio::test]
async fn a_target_that_is_there_is_refused_or_replaced_as_the_step_says() {
    for output in OUTPUTS {
        let folder = tempfile::tempdir().unwrap();
        let name = if output == Output::Rolled { "out-0001.txt" } else { "out.txt" };
        let target = folder.path().join(name);
        std::fs::write(&target, "mine").unwrap();
        let trouble = Trouble { items: 100, chunk: 10, on_existing: OnExisting::Refuse, ..Trouble::default() };
        let message = fails(folder.path(), output.job(folder.path().join("out.txt"), &trouble)).await;
        let expected = format!("'{}' exists already and this step may not replace it", target.display());
        assert!(message.contains(&expected), "{message}");
        assert_eq!(std::fs::read(&target).unwrap(), b"mine");
        completes(output, folder.path(), &Trouble { on_existing: OnExisting::Replace, ..trouble }).await;
    }
}

#[tokio::test]
async fn a_target_that_is_there_is_appended_to_once_and_one_that_changed_meanwhile_is_told() {
    for (output, header) in [(Output::Csv, "id,name\n"), (Output::FixedWidth, ""), (Output::JsonLines, "")] {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.txt");
        let set = Arc::new(AtomicBool::new(true));
        let trouble = Trouble { items: 7_000, chunk: 500, at: Some((6_400, Arc::clone(&set))), ..Trouble::default() };
        let rows = untroubled(output, &trouble).await.remove(0).1;
        let rows = rows.strip_prefix(header.as_bytes()).unwrap();
        let trouble = Trouble { on_existing: OnExisting::Append, ..trouble };
        let job = || output.job(target.clone(), &trouble);
        std::fs::write(&target, "mine\n").unwrap();
        assert!(fails(folder.path(), job()).await.contains("no more today"));
        assert_eq!(std::fs::read(&target).unwrap(), b"mine\n", "nobody sees half of it");
        set.store(false, Ordering::SeqCst);

        std::fs::write(&target, "mine\nyours\n").unwrap();
        let message = fails(folder.path(), job()).await;
        let expected = format!("file '{}' is not what it was when this step began to append to it", target.display());
        assert!(message.contains(&expected), "{message}");
        assert_eq!(std::fs::read(&target).unwrap(), b"mine\nyours\n");
        std::fs::write(&target, "mine\n").unwrap();
        assert_eq!(run(folder.path(), job()).await.status, Status::Completed);
        assert!(std::fs::read(&target).unwrap() == [b"mine\n", rows].concat(), "{output:?}");

        // Force is asked for once more of the same, and gets it.
        let execution = launch(folder.path(), job(), LaunchOptions { force: true, ..LaunchOptions::default() }).await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert!(std::fs::read(&target).unwrap() == [b"mine\n", rows, rows].concat(), "{output:?}");
        assert_eq!(files(folder.path()).len(), 1);
    }
}
