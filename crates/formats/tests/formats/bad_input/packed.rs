//! Compressed files that were cut off, and what stands behind their members.

use super::{Packing, birds, file, for_each};

#[test]
fn a_truncated_compressed_file_is_never_an_end() {
    for_each(|format, packing, name| {
        if packing == Packing::Plain {
            return;
        }
        let whole = packing.pack(&format.whole(&birds(2_000)));
        // A single byte of zstd is a bracket.
        let cuts = (1 + usize::from(packing == Packing::Zstd)..24)
            .chain((1..8).map(|eighth| whole.len() * eighth / 8))
            .chain(whole.len() - 12..whole.len());
        for cut in cuts {
            let (_folder, path) = file(&whole[..cut]);
            let attempt = format.read(&path, None, usize::MAX);
            assert!(attempt.checkpoint.is_none(), "{name} cut at {cut} of {}: the end was believed", whole.len());
            let message = attempt.end().to_string();
            let expected = format!("compressed input file '{}' is truncated or damaged", path.display());
            assert!(message.contains(&expected), "{name} cut at {cut} of {}: {message}", whole.len());
            assert!(
                attempt.end().is_fatal(),
                "{name} cut at {cut} of {}: whoever skips it meets it for ever",
                whole.len()
            );
        }
    });
}

#[test]
fn what_stands_behind_a_compressed_member_is_never_passed_over() {
    for_each(|format, packing, name| {
        if packing == Packing::Plain {
            return;
        }
        let whole = packing.pack(&format.whole(&birds(20)));
        for behind in
            [&b"\0"[..], b"x", b"\x1f", b"\x28\xb5", b"id,name\n", b"rubbish that is longer than a header", &[0; 512]]
        {
            let (_folder, path) = file(&[&whole, behind].concat());
            let attempt = format.read(&path, None, usize::MAX);
            if packing == Packing::Gzip && behind.iter().all(|byte| *byte == 0) {
                assert!(attempt.faults.is_empty(), "{name}: padding is no fault: {attempt:?}");
                continue;
            }
            assert!(attempt.checkpoint.is_none(), "{name}: {behind:?} was passed over");
            let message = attempt.end().to_string();
            assert!(message.contains("birds' is truncated or damaged"), "{name}: {message}");
        }
    });
}
