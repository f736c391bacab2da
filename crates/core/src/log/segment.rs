//! Segments: lines, compressed together, with the version of their form in the first byte.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// Compressed size at which a segment is closed and the next one begins, about.
pub(crate) const SEGMENT_BYTES: usize = 64 * 1024;
/// The form: lines of JSON, by raw deflate.
const DEFLATED: u8 = 1;
/// Quick compression: lines are alike, and the step should not feel it.
const QUICK: u8 = 1;
/// Most bytes that a segment may be when it is read.
const MAX_UNPACKED: usize = 64 * 1024 * 1024;

/// The lines as they are stored.
pub(crate) fn pack(lines: &[u8]) -> Vec<u8> {
    let mut packed = compress_to_vec(lines, QUICK);
    packed.insert(0, DEFLATED);
    packed
}

/// The lines of a stored segment.
///
/// # Errors
/// A sentence, when the bytes are no segment, or one of a newer version.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    match packed.split_first() {
        Some((&DEFLATED, lines)) => {
            decompress_to_vec_with_limit(lines, MAX_UNPACKED).map_err(|error| error.to_string())
        }
        Some((form, _)) => Err(format!("its form {form} is that of a newer version")),
        None => Err("it is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_foreign_bytes_are_an_error() {
        let lines = b"{\"message\":\"one\"}\n".repeat(1_000);
        let packed = pack(&lines);
        assert!(packed.len() < lines.len() / 20);
        assert_eq!(unpack(&packed).unwrap(), lines);
        assert!(unpack(&packed[..packed.len() / 2]).is_err());
        assert!(unpack(&[9, 1]).unwrap_err().contains("newer version"));
        assert!(unpack(&[]).is_err());
    }
}
