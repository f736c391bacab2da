//! Fingerprints of rows, as a target keeps them.

/// Length of a stored fingerprint.
const FINGERPRINT_BYTES: usize = 8;

/// The fingerprints that a target has kept.
pub(super) fn fingerprints(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<FINGERPRINT_BYTES>().0.iter().map(|chunk| u64::from_be_bytes(*chunk)).collect()
}

/// A fingerprint of a row's binary form: eight bytes at a time, multiplied and folded. It is stored, so it may never
/// change; it need not resist an attacker, only distinguish the rows of one chunk.
pub(in crate::item) fn fingerprint(row: &[u8]) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(PRIME);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        folded.wrapping_add(PRIME)
    };
    let (words, rest) = row.as_chunks::<8>();
    let mut hash = words.iter().fold(row.len() as u64, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    hash = fold(hash, u64::from_le_bytes(last));
    fold(hash, PRIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_never_changes() {
        assert_eq!([fingerprint(b""), fingerprint(b"one row"), fingerprint(b"a row of some length")], GOLDEN);
        assert_ne!(fingerprint(b"\0"), fingerprint(b"\0\0"));
    }

    const GOLDEN: [u64; 3] = [11_400_714_819_323_198_485, 2_560_114_342_252_138_295, 2_790_694_269_466_417_192];
}
