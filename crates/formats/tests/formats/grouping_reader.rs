//! `PeekableReader`, `GroupingReader`: nothing that was only looked at is behind a checkpoint.

use oxbatch_core::item::{ErrorKind, GroupingReader, ItemReader, ListReader, PeekableReader};
use oxbatch_formats::JsonLinesReader;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::{block_on, outcomes, read_all, stored};

fn by_tens(reader: impl ItemReader<Item = u32>) -> impl ItemReader<Item = Vec<u32>> {
    GroupingReader::new(reader, |a, b| a / 10 == b / 10)
}

#[test]
fn consecutive_items_of_one_key_are_one_item() {
    let mut reader = by_tens(ListReader::new([1, 2, 11, 21, 22, 23, 1]));
    block_on(async {
        reader.open(None).await.unwrap();
        let groups = read_all(&mut reader).await.unwrap();
        assert_eq!(groups, [vec![1, 2], vec![11], vec![21, 22, 23], vec![1]]);
        assert_eq!(reader.read().await.unwrap(), None);
    });
    let mut empty = by_tens(ListReader::new([]));
    block_on(async {
        empty.open(None).await.unwrap();
        assert_eq!(empty.read().await.unwrap(), None);
    });
}

#[test]
fn a_group_that_is_too_large_is_passed_over_as_a_whole() {
    let mut reader =
        GroupingReader::new(ListReader::new([1, 2, 3, 4, 11, 12]), |a, b| a / 10 == b / 10).max_group_items(2);
    block_on(async {
        reader.open(None).await.unwrap();
        let error = reader.read().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Validation, "a group has more than 2 items")
        );
        assert_eq!(reader.read().await.unwrap(), Some(vec![11, 12]));
    });
}

#[test]
fn a_record_that_cannot_be_read_spoils_its_group_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, "x\n1\n2\ny\n3\n11\n12\nz\n").unwrap();
    let mut reader = by_tens(JsonLinesReader::new(&path));
    let mut seen = Vec::new();
    block_on(async {
        reader.open(None).await.unwrap();
        loop {
            match reader.read().await {
                Ok(Some(group)) => seen.push(format!("{group:?}")),
                Ok(None) => break,
                Err(error) => seen.push(error.position().unwrap().to_owned()),
            }
        }
    });
    assert_eq!(seen, ["line 1, column 1", "line 4, column 1", "line 8, column 1"]);
}

#[test]
fn what_was_peeked_at_is_read_again_after_a_restart() {
    let make = || PeekableReader::new(ListReader::new(0..1_000));
    let mut reader = make();
    block_on(async {
        reader.open(None).await.unwrap();
        for expected in 0..1_000 {
            assert_eq!(reader.peek().await.unwrap(), Some(&expected));
            if expected % 100 < 3 {
                let checkpoint = stored(&reader.checkpoint().unwrap().unwrap());
                let mut restarted = make();
                restarted.open(Some(&checkpoint)).await.unwrap();
                assert_eq!(restarted.read().await.unwrap(), Some(expected));
            }
            assert_eq!(reader.read().await.unwrap(), Some(expected));
        }
        assert_eq!(reader.peek().await.unwrap(), None);
        assert_eq!(reader.read().await.unwrap(), None);
    });
}

proptest! {
    #[test]
    fn groups_are_the_same_with_any_restarts_and_faults(
        lines in vec(prop_oneof![6 => (0..40_u32).prop_map(|number| number.to_string()), 1 => Just("x".to_owned())], 0..20),
        sorted in any::<bool>(),
        repeat in prop_oneof![Just(1_usize), Just(100)],
        restarts in vec(any::<bool>(), 1..12),
    ) {
        let mut lines = lines;
        if sorted {
            lines.sort();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let text: String = lines.iter().map(|line| format!("{line}\n").repeat(repeat)).collect();
        std::fs::write(&path, text).unwrap();
        let make = || by_tens(JsonLinesReader::<u32>::new(&path));
        prop_assert_eq!(outcomes(make, &[false]).unwrap(), outcomes(make, &restarts).unwrap());
        let peekable = || PeekableReader::new(JsonLinesReader::<u32>::new(&path));
        let plain = || JsonLinesReader::<u32>::new(&path);
        prop_assert_eq!(outcomes(peekable, &restarts).unwrap(), outcomes(plain, &[false]).unwrap());
    }
}
