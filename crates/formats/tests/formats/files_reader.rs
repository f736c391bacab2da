//! `FilesReader`: many files as one input, resumed within any of them.

use std::path::Path;

use oxbatch_core::item::{BlockReader, Checkpoint, DecodedBlock, ItemError, ItemReader, Marks, Origin};
use oxbatch_formats::{FilesReader, JsonLinesReader};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::{block_on, outcomes, read_all, stored};

fn reader(folder: &Path) -> impl ItemReader<Item = u32> + use<> {
    FilesReader::new(format!("{}/**/*.jsonl", folder.display()), |path: &Path| JsonLinesReader::<u32>::new(path))
}

#[test]
fn files_are_read_in_the_order_of_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a.jsonl")).unwrap();
    for (name, text) in
        [("c.jsonl", "5"), ("b.jsonl", "3\n4\n"), ("a.jsonl/x.jsonl", "1\n2"), ("d.jsonl", ""), ("e", "x")]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut reader = reader(folder.path());
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(reader.progress(), Some(1.0));
        let checkpoint = stored(&reader.checkpoint().unwrap().unwrap());
        reader.close().await.unwrap();
        reader.open(Some(&checkpoint)).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), None);
    });
}

#[test]
fn a_pattern_that_no_file_matches_is_named_unless_that_is_fine() {
    let open = |pattern: &str| {
        let mut reader = FilesReader::new(pattern, |path: &Path| JsonLinesReader::<u32>::new(path));
        block_on(reader.open(None)).unwrap_err().to_string()
    };
    assert_eq!(open("/no/where/*"), "no file matches pattern '/no/where/*'");
    assert!(open("a[").starts_with("pattern 'a[' is none: "));
    let mut fine = FilesReader::new("/no/where/*", |path: &Path| JsonLinesReader::<u32>::new(path)).none_is_fine();
    block_on(async {
        fine.open(None).await.unwrap();
        assert_eq!(fine.read().await.unwrap(), None);
    });
}

#[test]
fn a_fault_names_its_file_and_the_next_file_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jsonl"), "1\nx\n").unwrap();
    std::fs::write(folder.path().join("b.jsonl"), "2").unwrap();
    let mut reader = reader(folder.path());
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(1));
        let error = reader.read().await.unwrap_err();
        let place = format!("file '{}', line 2, column 1", folder.path().join("a.jsonl").display());
        assert_eq!(error.location(), Some(place));
        assert_eq!(read_all(&mut reader).await.unwrap(), [2]);
    });
}

#[test]
fn a_list_that_changed_between_two_attempts_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a.jsonl", "b.jsonl"] {
        std::fs::write(path(name), "1\n2\n").unwrap();
    }
    let checkpoint = block_on(async {
        let mut reader = reader(folder.path());
        reader.open(None).await.unwrap();
        for _ in 0..3 {
            reader.read().await.unwrap();
        }
        stored(&reader.checkpoint().unwrap().unwrap())
    });
    let resume = || {
        let mut reader = reader(folder.path());
        block_on(async {
            reader.open(Some(&checkpoint)).await?;
            read_all(&mut reader).await
        })
    };
    assert_eq!(resume().unwrap(), [2]);
    std::fs::write(path("c.jsonl"), "").unwrap();
    assert!(resume().unwrap_err().to_string().contains("there were 2 and are 3 now; restore the files"));
    std::fs::remove_file(path("a.jsonl")).unwrap();
    assert!(resume().unwrap_err().to_string().contains("one has another name or size"));
    std::fs::remove_file(path("c.jsonl")).unwrap();
    std::fs::write(path("a.jsonl"), "1\n2\n3\n").unwrap();
    assert!(resume().unwrap_err().to_string().contains("one has another name or size"));
    std::fs::write(path("a.jsonl"), "1\n2\n").unwrap();
    std::fs::write(path("b.jsonl"), "7\n2\n").unwrap();
    assert!(resume().unwrap_err().to_string().contains("its first bytes differ"));
}

/// A file of one number that workers share, or one without a position that they cannot share yet.
struct OddFile {
    is_shared: bool,
    left: u32,
}

impl ItemReader for OddFile {
    type Item = u32;

    async fn read(&mut self) -> Result<Option<u32>, ItemError> {
        let left = self.left;
        self.left = 0;
        Ok((left > 0).then_some(left))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        if self.is_shared { Checkpoint::new(&0).map(Some) } else { Err(ItemError::other("no position")) }
    }

    fn split(&mut self, _: usize) -> Vec<Box<dyn BlockReader<u32>>> {
        if self.is_shared { vec![Box::new(NothingLeft)] } else { Vec::new() }
    }
}

struct NothingLeft;

impl BlockReader<u32> for NothingLeft {
    fn take(&mut self, _: usize) -> Result<bool, ItemError> {
        Ok(false)
    }

    fn decode(&mut self, _: Marks, _: &mut DecodedBlock<u32>) {}

    fn checkpoint(&mut self, _: usize) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&0).map(Some)
    }

    fn origin(&self, _: usize) -> Option<Origin> {
        None
    }

    fn progress(&self) -> Option<f64> {
        None
    }
}

#[test]
fn a_file_without_a_position_ends_the_reading_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::write(folder.path().join(name), "1").unwrap();
    }
    let make = |path: &Path| OddFile { is_shared: path.ends_with("a"), left: 1 };
    let mut reader = FilesReader::new(format!("{}/*", folder.path().display()), make);
    block_on(async {
        reader.open(None).await.unwrap();
        assert_eq!(reader.read().await.unwrap(), Some(1));
        let error = reader.split(1)[0].take(10).unwrap_err();
        assert!(error.is_fatal());
        assert_eq!(error.to_string(), format!("file '{}': no position", folder.path().join("b").display()));
    });
}

proptest! {
    #[test]
    fn many_files_read_as_one_with_any_restarts(files in vec(vec(0..99_u32, 0..5), 1..6), restarts in vec(any::<bool>(), 1..9)) {
        let folder = tempfile::tempdir().unwrap();
        for (index, numbers) in files.iter().enumerate() {
            let text: String = numbers.iter().map(|number| format!("{number}\n")).collect();
            std::fs::write(folder.path().join(format!("{index}.jsonl")), text).unwrap();
        }
        let model: Vec<_> = files.concat().into_iter().map(Ok).collect();
        prop_assert_eq!(outcomes(|| reader(folder.path()), &restarts).unwrap(), model);
    }
}
