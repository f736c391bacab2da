//! The files of one output: one, or a numbered sequence that is published together.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::compression::{Compression, Member};
use super::rivals::FinalNames;
use super::target::behind_links;
use super::{FileError, FileSync, OnExisting, OutputFile, Position};
use oxbatch_core::item::{Checkpoint, ItemError};
use oxbatch_core::step::StepContext;

/// Endings that say how a file is compressed; the number stands before the ending under them.
const COMPRESSED: [&str; 3] = ["gz", "zst", "zstd"];

/// The counts of the current file, and its number among the files of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// The number of the file, from 1; 0 when there is only one.
    pub(crate) file: u32,
    /// Items in it.
    pub(crate) items: u64,
    /// Bytes of text in it, before they are compressed.
    pub(crate) text: u64,
    /// Items in the files before it.
    pub(crate) before: u64,
}

/// The output of a file writer.
///
/// Finished files of a sequence keep their temporary names until the step completes. The checkpoint holds their number:
/// files behind it are void and removed when the output is cut back.
#[derive(Debug)]
pub(crate) struct OutputFiles {
    path: PathBuf,
    tag: String,
    pub(crate) sync: FileSync,
    pub(crate) on_existing: OnExisting,
    pub(crate) compression: Compression,
    pub(crate) numbered: bool,
    /// Files that the step reads.
    pub(crate) inputs: Arc<[PathBuf]>,
    /// It is appended to text: what stands at the start of a file is not written.
    pub(crate) follows_text: bool,
    current: OutputFile,
    member: Option<Member>,
    pub(crate) counts: Counts,
    flushed: Option<Position>,
    committed: Option<Position>,
}

impl OutputFiles {
    /// The output of a step: its temporary names are the same in all attempts of the instance's step. A re-run of
    /// skipped items is an instance of its own and has a file of its own: what the first one has published stays as it
    /// is.
    pub(crate) fn new(context: &StepContext, path: PathBuf) -> Self {
        let path = match context.rerun_of() {
            Some(_) => marked(&path, &format!(".rerun-{}", context.instance_id())),
            None => path,
        };
        Self::with_tag(OutputFile::tag(context), path)
    }

    /// An output whose temporary names carry `tag`.
    pub(crate) fn with_tag(tag: String, path: PathBuf) -> Self {
        Self {
            current: OutputFile::with_tag(&tag, path.clone()),
            path,
            tag,
            sync: FileSync::default(),
            on_existing: OnExisting::default(),
            compression: Compression::default(),
            numbered: false,
            inputs: Arc::default(),
            follows_text: false,
            member: None,
            counts: Counts::default(),
            flushed: None,
            committed: None,
        }
    }

    fn file(&self, number: u32) -> OutputFile {
        let path = if number == 0 { self.path.clone() } else { numbered(&self.path, number) };
        let mut file = OutputFile::with_tag(&self.tag, behind_links(&path));
        (file.sync, file.on_existing, file.inputs) = (self.sync, self.on_existing, Arc::clone(&self.inputs));
        file
    }

    /// The names that no other output may write to while this one does; where one is a link, that of the file behind
    /// it.
    fn final_names(&self) -> FinalNames {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !self.numbered {
            return FinalNames::One(name(&self.current.path));
        }
        let (start, end) = split(&self.path);
        FinalNames::Numbered(format!("{}-", start.to_string_lossy()), end.to_string_lossy().into_owned())
    }

    /// Opens the output, empty or cut back to a checkpoint.
    pub(crate) fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let position = checkpoint.map(Checkpoint::read::<Position>).transpose()?;
        self.member = None;
        self.current.close();
        if self.numbered && self.on_existing == OnExisting::Append {
            return Err(FileError::AppendedSequence { path: self.path.clone() }.into());
        }
        let first = u32::from(self.numbered);
        let number = match &position {
            // A checkpoint of the other kind is reported by its name.
            Some(position) if self.numbered => position.counts.file.max(first),
            _ => first,
        };
        self.current = self.file(number);
        self.current.final_names = Some(self.final_names());
        match &position {
            None => {
                self.current.open_anew()?;
                self.counts = Counts { file: number, ..Counts::default() };
            }
            Some(position) => {
                self.current.resume(position)?;
                self.counts = position.counts;
                self.check_finished(position.complete)?;
            }
        }
        self.follows_text = self.current.follows_text(self.compression)?;
        if position.is_none() && self.compression == Compression::None && self.current.follows_half_a_line() {
            self.current.append(b"\n")?;
        }
        self.remove_void()?;
        self.committed = Some(self.current.flush(self.counts)?);
        self.current.committed();
        self.flushed = None;
        Ok(())
    }

    /// Those that were finished are there; after the end of the input some may have their final names.
    fn check_finished(&self, complete: bool) -> Result<(), FileError> {
        for number in 1..self.counts.file {
            let file = self.file(number);
            if !(file.has_part() || complete && file.path.is_file()) {
                return Err(FileError::MissingFinished { path: file.part_path });
            }
        }
        Ok(())
    }

    /// Removes what was begun behind the current file and never committed.
    fn remove_void(&self) -> Result<(), FileError> {
        if !self.numbered {
            return Ok(());
        }
        let begun = (self.counts.file + 1..).map(|number| self.file(number)).take_while(OutputFile::has_part);
        // The last one first: where the machine dies in between, there is no gap that would hide the others.
        let paths: Vec<PathBuf> = begun.map(|file| file.part_path).collect();
        for path in paths.into_iter().rev() {
            fs::remove_file(&path).map_err(|source| FileError::Remove { path, source })?;
        }
        Ok(())
    }

    /// True if the input has ended in this attempt or an earlier one.
    pub(crate) fn is_complete(&self) -> bool {
        self.current.now.complete
    }

    /// The output will not grow any more.
    pub(crate) fn check_incomplete(&self) -> Result<(), FileError> {
        if self.is_complete() { Err(FileError::Complete { path: self.current.path.clone() }) } else { Ok(()) }
    }

    /// Hands text to the system, compressed where that is asked for.
    pub(crate) fn append(&mut self, text: &[u8]) -> Result<(), FileError> {
        self.counts.text += text.len() as u64;
        if self.compression == Compression::None || text.is_empty() {
            return self.current.append(text);
        }
        self.check_incomplete()?;
        self.compress(text)
    }

    /// Hands text to the system that is compressed already, as a member of its own; it was so many bytes long.
    pub(crate) fn append_packed(&mut self, packed: &[u8], text: u64) -> Result<(), FileError> {
        self.check_incomplete()?;
        self.end_member()?;
        self.counts.text += text;
        self.current.append(packed)
    }

    fn compress(&mut self, text: &[u8]) -> Result<(), FileError> {
        let failure = |source| FileError::Compress { path: self.current.part_path.clone(), source };
        if self.member.is_none() {
            self.member = self.compression.begin().map_err(failure)?;
        }
        if let Some(member) = &mut self.member {
            member.push(text).map_err(failure)?;
            let compressed = member.compressed();
            self.current.append(compressed)?;
            compressed.clear();
        }
        Ok(())
    }

    fn end_member(&mut self) -> Result<(), FileError> {
        let Some(member) = self.member.take() else { return Ok(()) };
        let rest =
            member.end().map_err(|source| FileError::Compress { path: self.current.part_path.clone(), source })?;
        self.current.append(&rest)
    }

    /// Ends the current file and begins the next one of the sequence.
    pub(crate) fn next_file(&mut self) -> Result<(), FileError> {
        self.check_incomplete()?;
        self.end_member()?;
        // The checkpoint that counts it as finished may be the last that the disk has seen.
        self.current.force()?;
        let Counts { file, items, before, .. } = self.counts;
        let mut next = self.file(file + 1);
        next.begin()?;
        self.current = next;
        self.counts = Counts { file: file + 1, before: before + items, ..Counts::default() };
        Ok(())
    }

    /// The point to cut back to, once it is committed.
    pub(crate) fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.end_member()?;
        let position = self.flushed.insert(self.current.flush(self.counts)?);
        Checkpoint::new(position).map(Some)
    }

    /// Makes sure that a save may count on what was flushed.
    pub(crate) fn force(&mut self) -> Result<(), FileError> {
        self.current.force_for_save()
    }

    /// The last flush is the point to cut back to.
    pub(crate) fn committed(&mut self) {
        if let Some(position) = self.flushed.take() {
            self.committed = Some(position);
        }
        self.current.committed();
    }

    /// Cuts back to the last committed flush.
    pub(crate) fn rolled_back(&mut self) -> Result<(), FileError> {
        self.member = None;
        self.flushed = None;
        let Some(committed) = self.committed.as_ref().filter(|_| self.current.file.is_some()) else { return Ok(()) };
        if committed.counts.file == self.counts.file {
            self.current.rolled_back()?;
        } else {
            let mut file = self.file(committed.counts.file);
            file.resume(committed)?;
            self.current = file;
        }
        self.counts = committed.counts;
        self.remove_void()
    }

    /// The output will not grow any more.
    pub(crate) fn finish(&mut self) -> Result<(), FileError> {
        if self.is_complete() {
            return Ok(());
        }
        if self.current.now.length == 0 && self.member.is_none() {
            // Nothing at all is no compressed file.
            self.compress(&[])?;
        }
        self.end_member()?;
        self.current.finish();
        Ok(())
    }

    /// Gives the files their final names, the last one last, and makes that durable.
    pub(crate) fn publish(&mut self) -> Result<(), FileError> {
        for number in 1..self.counts.file {
            let file = self.file(number);
            if file.has_part() {
                file.check_target()?;
            }
        }
        if !self.current.published {
            self.current.check_target()?;
        }
        for number in 1..self.counts.file {
            self.file(number).publish_finished()?;
        }
        if self.counts.file > 1 && !self.current.published {
            // Whoever sees the last one sees all of them, also after a loss of power.
            let failure = |source| FileError::Sync { path: self.path.clone(), source };
            super::sync_folder(&self.current.path).map_err(failure)?;
        }
        self.current.publish()
    }

    /// Returns whether a copy of the committed part can be shown: there is something, and it replaces what has the
    /// final name.
    pub(crate) fn can_copy(&self) -> bool {
        let Counts { items, before, .. } = self.counts;
        let is_open = self.current.file.is_some() && !self.is_complete();
        is_open && self.on_existing == OnExisting::Replace && items + before > 0
    }

    /// Gives copies of what is committed, with `end` behind the last, the final names.
    pub(crate) fn publish_copy(&mut self, end: &[u8]) -> Result<(), FileError> {
        let error = |source| FileError::Compress { path: self.current.part_path.clone(), source };
        let mut packed = Vec::new();
        if let Some(mut member) = self.compression.begin().map_err(error)?.filter(|_| !end.is_empty()) {
            member.push(end).map_err(error)?;
            packed.append(member.compressed());
            packed.extend(member.end().map_err(error)?);
        }
        let end = if self.compression == Compression::None { end } else { &packed };
        for number in 1..self.counts.file {
            self.file(number).publish_copy_of_finished()?;
        }
        self.current.publish_copy(end)
    }

    /// Releases the file and its lock.
    pub(crate) fn close(&mut self) {
        self.member = None;
        self.current.close();
    }
}

/// `orders.csv` → `orders-0001.csv`, `orders.csv.gz` → `orders-0001.csv.gz`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    marked(path, &format!("-{number:04}"))
}

/// A path with a mark at the end of the name, before what stands for its format.
fn marked(path: &Path, mark: &str) -> PathBuf {
    if path.file_name().is_none() {
        return path.to_owned();
    }
    let (mut name, end) = split(path);
    name.push(mark);
    name.push(end);
    path.with_file_name(name)
}

/// A path's name before a mark, and behind it.
fn split(path: &Path) -> (OsString, OsString) {
    let is_compressed = |path: &Path| path.extension().is_some_and(|end| COMPRESSED.iter().any(|known| end == *known));
    let (plain, outer) =
        if is_compressed(path) { (path.with_extension(""), path.extension()) } else { (path.to_owned(), None) };
    let mut behind = OsString::new();
    for end in plain.extension().into_iter().chain(outer) {
        behind.push(".");
        behind.push(end);
    }
    (plain.file_stem().unwrap_or_default().to_owned(), behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_before_the_ending() {
        for (path, expected) in [
            ("out/orders.csv", "out/orders-0001.csv"),
            ("orders", "orders-0001"),
            ("orders.csv.gz", "orders-0001.csv.gz"),
            ("my.orders.csv", "my.orders-0001.csv"),
            ("orders.gz", "orders-0001.gz"),
            (".orders", ".orders-0001"),
        ] {
            assert_eq!(numbered(Path::new(path), 1), Path::new(expected));
        }
        assert_eq!(numbered(Path::new("a.csv"), 12_345), Path::new("a-12345.csv"));
    }
}
