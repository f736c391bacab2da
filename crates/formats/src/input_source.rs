//! Where the text of an input file comes from: the file itself, or what was compressed into it.

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

/// Whether a file begins as a gzip file does; nothing but its first byte is one that was cut off.
fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(GZIP_MAGIC) || head == &GZIP_MAGIC[..1]
}

/// Whether a file begins as a zstd file does, which may be with a frame to pass over. One that was cut off within its
/// first bytes is known by two of them; one alone is a bracket.
fn is_zstd(head: &[u8]) -> bool {
    let head = &head[..head.len().min(ZSTD_MAGIC.len())];
    (head.len() >= 2 && ZSTD_MAGIC.starts_with(head)) || matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

/// The text of a file, by its content.
pub(super) enum Source {
    Plain(File),
    #[cfg(feature = "gzip")]
    Gzip(Box<gzip::GzipMembers>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::Decoder<'static, io::BufReader<File>>>),
}

/// Opens what is a file for reading.
pub(super) fn open_file(path: &Path) -> Result<File, InputError> {
    let fault = |source| InputError::Open { path: path.to_owned(), source };
    // Asked before it is opened: to open a named pipe waits for its other end.
    if !std::fs::metadata(path).map_err(fault)?.is_file() {
        return Err(InputError::NotAFile { path: path.to_owned() });
    }
    File::open(path).map_err(fault)
}

impl Source {
    /// The text from its start. The position of `file` becomes that of the source.
    pub(super) fn open(path: &Path, file: &File) -> Result<Self, InputError> {
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
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            return Err(InputError::Utf16 { path: path.to_owned() });
        }
        if let Some(format) = foreign(&head) {
            return Err(InputError::Foreign { path: path.to_owned(), format });
        }
        Ok(Self::Plain(handle))
    }

    /// Goes to an offset of the text; `false` when the text ends before it.
    ///
    /// Compressed text is read again from its start: it leaves no choice.
    pub(super) fn restart(&mut self, file: &File, offset: u64) -> io::Result<bool> {
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

    /// Whether the text is the file as it lies on the disk.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// How much of the file has been read, where that is not how much of the text has been.
    pub(super) fn read_of_file(&self, file: &File) -> Option<u64> {
        let mut file = file;
        if self.is_plain() { None } else { file.stream_position().ok() }
    }
}

#[cfg(any(feature = "gzip", feature = "zstd"))]
fn pass_over(text: &mut impl Read, bytes: u64) -> io::Result<bool> {
    Ok(io::copy(&mut text.take(bytes), &mut io::sink())? == bytes)
}

impl Read for Source {
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
