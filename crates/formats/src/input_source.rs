//! The source of the text of an input file: decompressed by its content, decoded from its encoding.

#[cfg(feature = "encoding")]
mod decoded;
#[cfg(feature = "gzip")]
mod gzip;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::input_error::InputError;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Bytes that the format of a file is known by.
const MAGIC_BYTES: usize = 10;

/// Formats of archives and compressed files that are no text and cannot be read, by their first bytes.
const FOREIGN: [(&str, &[u8]); 6] = [
    ("a ZIP archive", b"PK\x03\x04"),
    ("an empty ZIP archive", b"PK\x05\x06"),
    ("an xz file", b"\xfd7zXZ\0"),
    ("a 7z archive", b"7z\xbc\xaf\x27\x1c"),
    ("an lz4 file", b"\x04\x22\x4d\x18"),
    ("a file of compress", b"\x1f\x9d"),
];

/// The format of a file that can be read by no means, by its first bytes.
fn foreign(head: &[u8]) -> Option<&'static str> {
    // "BZh" alone may begin a text: a block follows, or the end of an empty one.
    let is_bzip2 = matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..])
        || matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..]);
    if is_bzip2 {
        return Some("a bzip2 file");
    }
    FOREIGN.iter().find(|(_, magic)| head.starts_with(magic)).map(|(name, _)| *name)
}

/// True if a file begins as a gzip file does; nothing but its first byte is one that was cut off.
fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(GZIP_MAGIC) || head == &GZIP_MAGIC[..1]
}

/// True if a file begins as a zstd file does, which may be with a frame to pass over. One that was cut off within its
/// first bytes is known by two of them; one alone is a bracket.
fn is_zstd(head: &[u8]) -> bool {
    let head = &head[..head.len().min(ZSTD_MAGIC.len())];
    (head.len() >= 2 && ZSTD_MAGIC.starts_with(head)) || matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

/// The bytes of a file, by its content.
enum Bytes {
    Plain(File),
    #[cfg(feature = "gzip")]
    Gzip(Box<gzip::GzipMembers>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::Decoder<'static, io::BufReader<File>>>),
}

/// Opens what is a file for reading.
pub(super) fn open_file(path: &Path) -> Result<File, InputError> {
    let failure = |source| InputError::Open { path: path.to_owned(), source };
    // Asked before it is opened: to open a named pipe waits for its other end.
    if !std::fs::metadata(path).map_err(failure)?.is_file() {
        return Err(InputError::NotAFile { path: path.to_owned() });
    }
    File::open(path).map_err(failure)
}

impl Bytes {
    /// The bytes from their start. The position of `file` becomes that of the source.
    fn open(path: &Path, file: &File, is_utf8: bool) -> Result<Self, InputError> {
        let unreadable = |source| InputError::Read { path: path.to_owned(), source };
        let mut handle = file.try_clone().map_err(unreadable)?;
        let mut head = Vec::with_capacity(MAGIC_BYTES);
        handle.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        file.take(MAGIC_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
        handle.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        if is_gzip(&head) {
            #[cfg(feature = "gzip")]
            return Ok(Self::Gzip(Box::new(gzip::GzipMembers::new(handle))));
            #[cfg(not(feature = "gzip"))]
            return Err(InputError::Compressed { path: path.to_owned(), format: "gzip" });
        }
        if is_zstd(&head) {
            #[cfg(feature = "zstd")]
            return Ok(Self::Zstd(Box::new(zstd::Decoder::new(handle).map_err(unreadable)?)));
            #[cfg(not(feature = "zstd"))]
            return Err(InputError::Compressed { path: path.to_owned(), format: "zstd" });
        }
        if is_utf8 && (head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff])) {
            return Err(InputError::Utf16 { path: path.to_owned() });
        }
        if let Some(format) = foreign(&head) {
            return Err(InputError::Foreign { path: path.to_owned(), format });
        }
        Ok(Self::Plain(handle))
    }

    /// Goes to an offset; `false` when the bytes end before it.
    ///
    /// Compressed bytes are read again from their start: there is no way to seek in them.
    fn restart(&mut self, file: &File, offset: u64) -> io::Result<bool> {
        // The handles share one position.
        let mut handle = file;
        match self {
            Self::Plain(_) => handle.seek(SeekFrom::Start(offset)).map(|_| true),
            #[cfg(feature = "gzip")]
            Self::Gzip(decoder) => {
                handle.seek(SeekFrom::Start(0))?;
                **decoder = gzip::GzipMembers::new(file.try_clone()?);
                pass_over(decoder, offset)
            }
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => {
                handle.seek(SeekFrom::Start(0))?;
                **decoder = zstd::Decoder::new(file.try_clone()?)?;
                pass_over(decoder, offset)
            }
        }
    }
}

#[cfg(any(feature = "encoding", feature = "gzip", feature = "zstd"))]
fn pass_over(text: &mut impl Read, bytes: u64) -> io::Result<bool> {
    Ok(io::copy(&mut text.take(bytes), &mut io::sink())? == bytes)
}

impl Read for Bytes {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            #[cfg(feature = "gzip")]
            Self::Gzip(decoder) => decoder.read(buffer),
            #[cfg(feature = "zstd")]
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// The text of a file.
pub(super) struct Source(Text);

enum Text {
    Utf8(Bytes),
    #[cfg(feature = "encoding")]
    Decoded(Box<decoded::Decoded>),
    /// There is no more than what was read, from a text of this encoding.
    Ended(Option<&'static str>),
}

impl Source {
    /// A source that has ended, of a text like that of another one.
    pub(super) fn ended(other: &Self) -> Self {
        Self(Text::Ended(other.encoding()))
    }

    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.0, Text::Ended(_))
    }

    /// The text from its start, in UTF-8 or the encoding of a label. The position of `file` becomes that of the source.
    pub(super) fn open(path: &Path, file: &File, encoding: Option<&str>) -> Result<Self, InputError> {
        #[cfg(feature = "encoding")]
        if let Some(label) = encoding {
            let known = decoded::encoding(label);
            let encoding =
                known.ok_or_else(|| InputError::Encoding { path: path.to_owned(), label: label.to_owned() })?;
            if let Some(encoding) = encoding {
                let bytes = Bytes::open(path, file, false)?;
                return Ok(Self(Text::Decoded(Box::new(decoded::Decoded::new(encoding, bytes)))));
            }
        }
        #[cfg(not(feature = "encoding"))]
        let _ = encoding;
        Bytes::open(path, file, true).map(|bytes| Self(Text::Utf8(bytes)))
    }

    /// Goes to an offset of the text; `false` when the text ends before it.
    pub(super) fn restart(&mut self, file: &File, offset: u64) -> io::Result<bool> {
        match &mut self.0 {
            Text::Utf8(bytes) => bytes.restart(file, offset),
            #[cfg(feature = "encoding")]
            Text::Decoded(decoded) => {
                decoded.restart(file)?;
                pass_over(decoded, offset)
            }
            Text::Ended(_) => Ok(false),
        }
    }

    /// True if the text is the file as it lies on the disk.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.0, Text::Utf8(Bytes::Plain(_)))
    }

    /// The name of the encoding that the text is decoded from.
    pub(super) fn encoding(&self) -> Option<&'static str> {
        match &self.0 {
            Text::Utf8(_) => None,
            #[cfg(feature = "encoding")]
            Text::Decoded(decoded) => Some(decoded.encoding()),
            Text::Ended(encoding) => *encoding,
        }
    }

    /// The number of bytes of the file that have been read, where it is not that of the text.
    pub(super) fn read_of_file(&self, file: &File) -> Option<u64> {
        let mut file = file;
        if self.is_plain() { None } else { file.stream_position().ok() }
    }
}

impl Read for Source {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Text::Utf8(bytes) => bytes.read(buffer),
            #[cfg(feature = "encoding")]
            Text::Decoded(decoded) => decoded.read(buffer),
            Text::Ended(_) => Ok(0),
        }
    }
}
