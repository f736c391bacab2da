//! Compressed input: known by its content, read whole or not at all, resumed anywhere.

use std::io::Write;
use std::path::{Path, PathBuf};

use oxbatch_core::item::{ErrorKind, ItemReader};
use oxbatch_formats::{CsvReader, JsonLinesReader};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::{block_on, outcomes, read_all, stored};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(text, 1).unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;

const FORMATS: [Compress; 2] = [gzip, zstd];

fn file(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("a.txt");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Numbers that do not compress well, so that the end is not in the first bytes.
fn numbers(count: u64) -> Vec<u64> {
    (0..count).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

fn lines(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

fn json(path: &Path) -> JsonLinesReader<u64> {
    JsonLinesReader::new(path)
}

fn csv(path: &Path) -> CsvReader<u64> {
    CsvReader::new(path).without_headers()
}

#[test]
fn members_one_after_the_other_are_one_text() {
    let folder = tempfile::tempdir().unwrap();
    for compress in FORMATS {
        let path = file(folder.path(), &[compress(b"1\n2"), compress(b""), compress(b"3\n4\n")].concat());
        block_on(async {
            let (mut json, mut csv) = (json(&path), csv(&path));
            json.open(None).await.unwrap();
            csv.open(None).await.unwrap();
            assert_eq!(read_all(&mut json).await.unwrap(), [1, 23, 4]);
            assert_eq!(read_all(&mut csv).await.unwrap(), [1, 23, 4]);
            assert_eq!(json.progress(), Some(1.0));
        });
    }
}

#[test]
fn a_restart_goes_on_behind_any_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = numbers(60_000);
    for compress in FORMATS {
        let path = file(folder.path(), &compress(&lines(&numbers)));
        block_on(async {
            let (mut first, mut other) = (json(&path), csv(&path));
            first.open(None).await.unwrap();
            other.open(None).await.unwrap();
            for (index, number) in numbers.iter().enumerate() {
                assert_eq!(first.read().await.unwrap(), Some(*number));
                assert_eq!(other.read().await.unwrap(), Some(*number));
                if index % 1_000 == 0 {
                    let (place, other_place) =
                        (first.checkpoint().unwrap().unwrap(), other.checkpoint().unwrap().unwrap());
                    if index % 20_000 == 0 {
                        let (mut json, mut csv) = (json(&path), csv(&path));
                        json.open(Some(&stored(&place))).await.unwrap();
                        csv.open(Some(&stored(&other_place))).await.unwrap();
                        assert_eq!(read_all(&mut json).await.unwrap(), numbers[index + 1..]);
                        assert_eq!(read_all(&mut csv).await.unwrap(), numbers[index + 1..]);
                    }
                }
            }
        });
    }
}

/// Reads to the error that stays, and tells how many items came before it. A first error may be followed by items: of
/// what is left, decompression gives more when it is asked for less at once.
fn to_the_fault(mut reader: impl ItemReader<Item = u64>) -> (usize, String) {
    block_on(async {
        reader.open(None).await.unwrap();
        let (mut items, mut faults) = (0, 0);
        loop {
            match reader.read().await {
                Ok(Some(_)) => (items, faults) = (items + 1, 0),
                Ok(None) => panic!("the end was believed"),
                // Damaged text is known by its checksum only at its end.
                Err(error) if error.kind() == ErrorKind::Parse => {}
                Err(error) if faults == 2 => return (items, error.to_string()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Other);
                    faults += 1;
                }
            }
        }
    })
}

#[test]
fn a_truncated_or_damaged_file_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let text = lines(&numbers(50_000));
    for compress in FORMATS {
        let whole = compress(&text);
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0x55);
        let behind = [&whole[..], b"rubbish that is longer than a header"].concat();
        for bytes in [&whole[..whole.len() / 2], &whole[..whole.len() - 3], &damaged, &behind] {
            let path = file(folder.path(), bytes);
            for (items, message) in [to_the_fault(json(&path)), to_the_fault(csv(&path))] {
                assert!(items <= 50_000);
                assert!(message.contains("a.txt' is truncated or damaged"), "{message}");
            }
        }
    }
}

#[test]
fn zeros_behind_the_last_member_of_gzip_are_padding() {
    let folder = tempfile::tempdir().unwrap();
    let text = lines(&numbers(3));
    for zeros in [1, 511, 100_000] {
        let members = [&gzip(&text)[..], &gzip(&text), &vec![0; zeros]].concat();
        let path = file(folder.path(), &members);
        let read = block_on(async {
            let mut reader = json(&path);
            reader.open(None).await.unwrap();
            read_all(&mut reader).await.unwrap()
        });
        assert_eq!(read, [numbers(3), numbers(3)].concat(), "{zeros}");
        let path = file(folder.path(), &[&members[..], &gzip(&text)].concat());
        let (_, message) = to_the_fault(json(&path));
        assert!(message.contains("a.txt' is truncated or damaged"), "{message}");
    }
}

#[test]
fn a_file_that_was_compressed_anew_is_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), &gzip(b"1\n2\n"));
    let checkpoint = block_on(async {
        let mut reader = json(&path);
        reader.open(None).await.unwrap();
        reader.read().await.unwrap();
        stored(&reader.checkpoint().unwrap().unwrap())
    });
    file(folder.path(), &zstd(b"1\n2\n"));
    let error = block_on(json(&path).open(Some(&checkpoint))).unwrap_err();
    assert!(error.to_string().contains("has changed since the last attempt"), "{error}");
}

#[test]
fn a_small_file_that_unfolds_into_one_long_line_stays_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), &zstd(&vec![b'1'; 100 * 1024 * 1024]));
    let message = block_on(async {
        let mut reader = json(&path);
        reader.open(None).await.unwrap();
        reader.read().await.unwrap_err().to_string()
    });
    assert!(message.contains("a.txt', line 1: record is longer than 1048576 bytes"), "{message}");
}

proptest! {
    #[test]
    fn compressed_text_reads_as_plain_text_with_any_restarts(
        pieces in vec(prop_oneof![
            1 => vec(any::<u8>(), 0..4), 3 => Just(b"\n".to_vec()), 1 => Just(b"\r\n".to_vec()), 4 => Just(b"12".to_vec()),
            1 => Just(b"\"".to_vec()), 1 => Just(b",".to_vec()), 1 => Just(b"123456789".to_vec()),
        ], 0..60),
        restarts in vec(any::<bool>(), 1..12),
        limit in prop_oneof![Just(6_u32), Just(1_000)],
        // Where members end, reads do: what is reported must not depend on it.
        member in prop_oneof![1..9_usize, Just(1_000)],
    ) {
        let text = [&b" "[..], &pieces.concat()].concat();
        let folder = tempfile::tempdir().unwrap();
        let json = |path: &PathBuf, restarts: &[bool]| outcomes(|| json(path).max_line_bytes(limit), restarts).unwrap();
        let csv = |path: &PathBuf, restarts: &[bool]| {
            let make = || CsvReader::<Vec<String>>::new(path).without_headers().max_record_bytes(limit);
            outcomes(make, restarts).unwrap()
        };
        let path = file(folder.path(), &text);
        let plain = (json(&path, &[false]), csv(&path, &[false]));
        for compress in FORMATS {
            let members: Vec<u8> = text.chunks(member).flat_map(compress).collect();
            let path = file(folder.path(), &members);
            prop_assert_eq!(&(json(&path, &restarts), csv(&path, &restarts)), &plain);
        }
    }
}
