//! The members of a gzip file, one text after another.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// Compressed bytes that are read at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// The text of all members. Zeros behind the last one, which tapes and block devices leave, are no member, as for gzip.
pub(crate) struct GzipMembers {
    state: State,
}

enum State {
    Member(GzDecoder<BufReader<File>>),
    /// The file has ended, or what stands behind its members is none.
    Behind(Option<BufReader<File>>),
}

impl GzipMembers {
    /// The members of a file from its position on.
    pub(crate) fn new(file: File) -> Self {
        Self { state: State::Member(GzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, file))) }
    }

    /// Goes behind the member that has ended; `false` at the end of the file.
    fn next_member(&mut self) -> io::Result<bool> {
        if let State::Member(_) = &self.state
            && let State::Member(member) = std::mem::replace(&mut self.state, State::Behind(None))
        {
            self.state = State::Behind(Some(member.into_inner()));
        }
        let State::Behind(Some(file)) = &mut self.state else { return Ok(false) };
        let mut padded = false;
        loop {
            let bytes = file.fill_buf()?;
            if bytes.is_empty() {
                self.state = State::Behind(None);
                return Ok(false);
            }
            match bytes.iter().position(|byte| *byte != 0) {
                None => {
                    padded = true;
                    let length = bytes.len();
                    file.consume(length);
                }
                Some(0) if !padded => break,
                Some(_) => {
                    let problem = "there are other bytes than zeros behind the last member";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                }
            }
        }
        if let State::Behind(Some(file)) = std::mem::replace(&mut self.state, State::Behind(None)) {
            self.state = State::Member(GzDecoder::new(file));
        }
        Ok(true)
    }
}

impl Read for GzipMembers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let State::Member(member) = &mut self.state {
                match member.read(buffer)? {
                    0 => {}
                    length => return Ok(length),
                }
            }
            if !self.next_member()? {
                return Ok(0);
            }
        }
    }
}
