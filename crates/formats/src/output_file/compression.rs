//! Compressed output that can be cut back: what one chunk puts into a file is a complete member of its own.

use std::io::{self, Read};

/// The compression of a file that is written.
///
/// The output of a chunk is a complete gzip member or zstd frame, so a file that is cut back to a commit is a whole
/// one, and `gzip -d` or `zstd -d` read all of it. Small chunks therefore compress worse than big ones. The name of the
/// file is the author's: nothing is appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// The text as it is.
    #[default]
    None,
    /// gzip, at [`DEFAULT_GZIP_LEVEL`](Self::DEFAULT_GZIP_LEVEL).
    #[cfg(feature = "gzip")]
    Gzip,
    /// Zstandard, at [`DEFAULT_ZSTD_LEVEL`](Self::DEFAULT_ZSTD_LEVEL), each frame with its checksum.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Compression {
    /// The level of gzip, 0 to 9.
    #[cfg(feature = "gzip")]
    pub const DEFAULT_GZIP_LEVEL: u32 = 6;
    /// The level of zstd, 1 to 22.
    #[cfg(feature = "zstd")]
    pub const DEFAULT_ZSTD_LEVEL: i32 = 3;

    /// Its name; `None` where nothing is compressed.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            #[cfg(feature = "gzip")]
            Self::Gzip => Some("gzip"),
            #[cfg(feature = "zstd")]
            Self::Zstd => Some("zstd"),
        }
    }

    /// The name of the compression of a file that starts so, also where its feature is not built in.
    pub(super) fn name_of(head: &[u8]) -> Option<&'static str> {
        match head {
            [0x1f, 0x8b, ..] => Some("gzip"),
            // The second is a frame to pass over.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some("zstd"),
            _ => None,
        }
    }

    /// True if a file that is compressed so holds any text.
    pub(super) fn has_text(self, mut file: impl Read) -> io::Result<bool> {
        let mut first = [0; 1];
        let count = match self {
            Self::None => file.read(&mut first)?,
            #[cfg(feature = "gzip")]
            Self::Gzip => flate2::read::MultiGzDecoder::new(file).read(&mut first)?,
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::stream::read::Decoder::new(file)?.read(&mut first)?,
        };
        Ok(count > 0)
    }

    /// A text as a member of its own; `None` where nothing is compressed.
    pub(crate) fn pack(self, text: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some(mut member) = self.begin()? else { return Ok(None) };
        member.push(text)?;
        let mut packed = std::mem::take(member.compressed());
        let rest = member.end()?;
        if packed.is_empty() {
            return Ok(Some(rest));
        }
        packed.extend_from_slice(&rest);
        Ok(Some(packed))
    }

    /// Begins a member; `None` where nothing is compressed.
    pub(super) fn begin(self) -> io::Result<Option<Member>> {
        match self {
            Self::None => Ok(None),
            #[cfg(feature = "gzip")]
            Self::Gzip => {
                let level = flate2::Compression::new(Self::DEFAULT_GZIP_LEVEL);
                Ok(Some(Member::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))))
            }
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), Self::DEFAULT_ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Ok(Some(Member::Zstd(encoder)))
            }
        }
    }
}

/// A member that has begun. Dropping it takes it back.
pub(super) enum Member {
    #[cfg(feature = "gzip")]
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    #[cfg(feature = "zstd")]
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

#[cfg_attr(
    not(any(feature = "gzip", feature = "zstd")),
    expect(unused_variables, reason = "there is no member without a format")
)]
impl Member {
    pub(super) fn push(&mut self, text: &[u8]) -> io::Result<()> {
        match *self {
            #[cfg(feature = "gzip")]
            Self::Gzip(ref mut encoder) => io::Write::write_all(encoder, text),
            #[cfg(feature = "zstd")]
            Self::Zstd(ref mut encoder) => io::Write::write_all(encoder, text),
        }
    }

    /// The buffer of what can be written already; the caller empties it.
    pub(super) fn compressed(&mut self) -> &mut Vec<u8> {
        match *self {
            #[cfg(feature = "gzip")]
            Self::Gzip(ref mut encoder) => encoder.get_mut(),
            #[cfg(feature = "zstd")]
            Self::Zstd(ref mut encoder) => encoder.get_mut(),
        }
    }

    /// Ends the member; the rest of it.
    pub(super) fn end(self) -> io::Result<Vec<u8>> {
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip(encoder) => encoder.finish(),
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Member")
    }
}
