//! How the bytes of a fuzzer become settings and a text.

use std::io::Write;

/// What a few bytes decide.
pub struct Settings {
    /// Longest record.
    pub limit: u32,
    /// Where attempts end.
    pub restarts: Vec<bool>,
    /// Whether the text is read compressed as well.
    pub compressed: bool,
    /// A choice of the target.
    pub option: u8,
    /// Length of a compressed member.
    member: usize,
}

/// The settings of the first four bytes, and the text behind them.
pub fn split(data: &[u8]) -> Option<(Settings, &[u8])> {
    let (&[limit, restarts, choice, member], text) = data.split_first_chunk()?;
    let settings = Settings {
        limit: if limit == 0 { 1024 * 1024 } else { u32::from(limit) },
        // The eighth bit keeps the pattern from being of one length.
        restarts: (0..if restarts & 0x80 == 0 { 7 } else { 5 }).map(|bit| restarts >> bit & 1 == 1).collect(),
        compressed: choice & 0x80 != 0,
        option: choice & 0x7f,
        member: usize::from(member) + 1,
    };
    Some((settings, text))
}

impl Settings {
    fn members<'a>(&self, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // No text is one member.
        text.chunks(self.member).chain(text.is_empty().then_some(text)).collect::<Vec<_>>().into_iter()
    }

    /// The text as gzip members.
    pub fn gzip(&self, text: &[u8]) -> Vec<u8> {
        let pack = |text: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).expect("memory takes it");
            encoder.finish().expect("memory takes it")
        };
        self.members(text).flat_map(pack).collect()
    }

    /// The text as zstd frames.
    pub fn zstd(&self, text: &[u8]) -> Vec<u8> {
        self.members(text).flat_map(|text| zstd::encode_all(text, 1).expect("memory takes it")).collect()
    }
}
