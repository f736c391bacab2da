//! Text of another encoding than UTF-8, decoded while it is read.

use std::fs::File;
use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

use super::Bytes;

/// Bytes that are decoded at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// Stands in the text for bytes that stand for nothing in the encoding: it is in no UTF-8, so the record around it is
/// an error.
const NOTHING: u8 = 0xff;

/// The encoding of a label, none when it is UTF-8, which needs no decoding.
pub(super) fn encoding(label: &str) -> Option<Option<&'static Encoding>> {
    let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
    Some(if encoding == UTF_8 { None } else { Some(encoding) })
}

/// The text of encoded bytes.
pub(super) struct Decoded {
    bytes: Bytes,
    decoder: Decoder,
    encoding: &'static Encoding,
    /// Bytes that were read and not decoded yet: those of the buffer from `next` to `filled`.
    buffer: Vec<u8>,
    next: usize,
    filled: usize,
    /// The bytes have ended, and the decoder has had their end.
    ended: bool,
    /// Text that was decoded and not taken yet, from `taken` on.
    text: Vec<u8>,
    taken: usize,
}

impl Decoded {
    pub(super) fn new(encoding: &'static Encoding, bytes: Bytes) -> Self {
        Self {
            bytes,
            // It looks for a byte order mark, which has the last word.
            decoder: encoding.new_decoder(),
            encoding,
            buffer: vec![0; BUFFER_BYTES],
            next: 0,
            filled: 0,
            ended: false,
            text: Vec::new(),
            taken: 0,
        }
    }

    /// The name of the encoding, as the byte order mark has it where there is one.
    pub(super) fn encoding(&self) -> &'static str {
        self.decoder.encoding().name()
    }

    /// Goes back to the start.
    pub(super) fn restart(&mut self, file: &File) -> io::Result<()> {
        self.bytes.restart(file, 0)?;
        self.decoder = self.encoding.new_decoder();
        (self.next, self.filled, self.ended) = (0, 0, false);
        self.text.clear();
        self.taken = 0;
        Ok(())
    }

    /// Decodes what comes next; at the end of the bytes there is no text.
    fn decode(&mut self) -> io::Result<()> {
        self.text.clear();
        self.taken = 0;
        while self.text.is_empty() && !self.ended {
            if self.next == self.filled {
                self.filled = self.bytes.read(&mut self.buffer)?;
                self.next = 0;
            }
            let is_last = self.filled == 0;
            let needed = self.decoder.max_utf8_buffer_length_without_replacement(self.filled - self.next);
            self.text.resize(needed.unwrap_or(4 * BUFFER_BYTES), 0);
            let bytes = &self.buffer[self.next..self.filled];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(bytes, &mut self.text, is_last);
            self.next += read;
            self.text.truncate(written);
            if leaves_bytes_open(self.decoder.encoding()) {
                mark_control_characters(&mut self.text);
            }
            match result {
                DecoderResult::Malformed(..) => self.text.push(NOTHING),
                DecoderResult::InputEmpty => self.ended = is_last,
                DecoderResult::OutputFull => {}
            }
        }
        Ok(())
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.text.len() {
            self.decode()?;
        }
        let length = buffer.len().min(self.text.len() - self.taken);
        buffer[..length].copy_from_slice(&self.text[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

/// True if an encoding has bytes that no character was ever given to, for which the standard takes control characters.
fn leaves_bytes_open(encoding: &'static Encoding) -> bool {
    encoding.name().starts_with("windows-")
}

/// Replaces the control characters U+0080 to U+009F, which stand for such bytes alone.
fn mark_control_characters(text: &mut Vec<u8>) {
    if memchr::memchr(0xc2, text).is_none() {
        return;
    }
    let mut kept = 0;
    let mut at = 0;
    while at < text.len() {
        let is_control = text[at] == 0xc2 && matches!(text.get(at + 1), Some(0x80..=0x9f));
        text[kept] = if is_control { NOTHING } else { text[at] };
        kept += 1;
        at += if is_control { 2 } else { 1 };
    }
    text.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_stand_for_nothing_are_marked_and_the_text_around_them_stays() {
        let mut text = "a\u{81}ü\u{a0}\u{9f}".as_bytes().to_vec();
        mark_control_characters(&mut text);
        assert_eq!(text, [b"a\xff".as_slice(), "ü\u{a0}".as_bytes(), b"\xff"].concat());
    }

    #[test]
    fn labels_are_those_of_the_standard() {
        assert_eq!(encoding("Latin1").unwrap().unwrap().name(), "windows-1252");
        assert_eq!(encoding("utf8"), Some(None));
        assert_eq!(encoding("utf-16").unwrap().unwrap().name(), "UTF-16LE");
        for unknown in ["", "ebcdic", "iso-2022-kr"] {
            assert_eq!(encoding(unknown), None, "{unknown}");
        }
    }
}
