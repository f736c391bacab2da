//! The kinds of output, and what must stand in them: written by hand, not by the writers under test.

use std::fmt::Write as _;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// Items of a file of a sequence.
pub(crate) const ROLL_ITEMS: u64 = 7_000;

/// Where the rows of an import go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    Csv,
    /// CSV as well, all rounds in one file.
    Appended,
    FixedWidth,
    JsonLines,
    JsonArray,
    Xml,
}

/// How a round's files are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    /// None, gzip, zstd.
    pub(crate) compression: usize,
    pub(crate) rolls: bool,
}

impl Variant {
    pub(crate) const COUNT: u64 = 6;

    /// Six rounds go through all of them.
    pub(crate) fn of(round: u64) -> Self {
        let number = usize::try_from(round % Self::COUNT).unwrap_or(0);
        Self { compression: number % 3, rolls: number >= 3 }
    }

    fn ending(self) -> &'static str {
        ["", ".gz", ".zst"][self.compression]
    }

    fn read(self, path: &Path) -> Result<String, String> {
        let fault = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = std::fs::File::open(path).map_err(fault)?;
        let mut reader: Box<dyn Read> = match self.compression {
            0 => Box::new(file),
            1 => Box::new(flate2::read::MultiGzDecoder::new(file)),
            _ => Box::new(zstd::Decoder::new(file).map_err(fault)?),
        };
        let mut text = String::new();
        reader.read_to_string(&mut text).map_err(fault)?;
        Ok(text)
    }
}

impl Output {
    pub(crate) const ALL: [Self; 7] =
        [Self::Table, Self::Csv, Self::Appended, Self::FixedWidth, Self::JsonLines, Self::JsonArray, Self::Xml];

    pub(crate) fn job(self) -> &'static str {
        match self {
            Self::Table => "CrashTable",
            Self::Csv => "CrashCsv",
            Self::Appended => "CrashAppended",
            Self::FixedWidth => "CrashFixedWidth",
            Self::JsonLines => "CrashJsonLines",
            Self::JsonArray => "CrashJsonArray",
            Self::Xml => "CrashXml",
        }
    }

    pub(crate) fn variant(self, round: u64) -> Variant {
        if self == Self::Appended { Variant { compression: 0, rolls: false } } else { Variant::of(round) }
    }

    fn stem(self, round: u64) -> String {
        if self == Self::Appended { self.job().to_owned() } else { format!("{}-{round}", self.job()) }
    }

    pub(crate) fn path(self, round: u64) -> String {
        format!("{}.out{}", self.stem(round), self.variant(round).ending())
    }

    /// A row's text.
    fn row(self, id: u64, out: &mut String) -> std::fmt::Result {
        let name = format!("Müller, {}", id % 977);
        let cents = (id % 10_007).cast_signed() * 37 - 100_000;
        match self {
            Self::Table => Ok(()),
            Self::Csv | Self::Appended => writeln!(out, "{id},\"{name}\",{cents}"),
            Self::FixedWidth => writeln!(out, "{id:>8}{name:<14}{cents:>8}"),
            Self::JsonLines => writeln!(out, "{{\"id\":{id},\"name\":\"{name}\",\"cents\":{cents}}}"),
            Self::JsonArray => write!(out, "\n{{\"id\":{id},\"name\":\"{name}\",\"cents\":{cents}}}"),
            Self::Xml => writeln!(out, "<item><id>{id}</id><name>{name}</name><cents>{cents}</cents></item>"),
        }
    }

    /// A whole file of rows.
    pub(crate) fn text(self, ids: Range<u64>) -> String {
        let (start, end) = match self {
            Self::Csv | Self::Appended => ("id,name,cents\n", ""),
            Self::JsonArray => ("[", "\n]\n"),
            Self::Xml => ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>\n", "</items>\n"),
            Self::Table | Self::FixedWidth | Self::JsonLines => ("", ""),
        };
        let mut out = start.to_owned();
        let first = ids.start;
        for id in ids {
            if self == Self::JsonArray && id > first {
                out.push(',');
            }
            // A String takes everything.
            let _ = self.row(id, &mut out);
        }
        out + end
    }

    /// What all rounds so far have appended to one file: the header of the first, and the rows of each.
    fn appended(self, rounds: u64) -> String {
        let mut out = self.text(0..0);
        for id in (0..rounds).flat_map(|_| 0..crate::ROWS) {
            // A String takes everything.
            let _ = self.row(id, &mut out);
        }
        out
    }

    /// Compares the files of a round, byte by byte after decompression, and removes those that no later round goes on
    /// with.
    pub(crate) fn verify_files(self, folder: &Path, round: u64) -> Result<(), String> {
        let variant = self.variant(round);
        let expected: Vec<(String, Range<u64>)> = if variant.rolls {
            (0..crate::ROWS.div_ceil(ROLL_ITEMS))
                .map(|file| {
                    let name = format!("{}-{:04}.out{}", self.stem(round), file + 1, variant.ending());
                    (name, file * ROLL_ITEMS..((file + 1) * ROLL_ITEMS).min(crate::ROWS))
                })
                .collect()
        } else {
            vec![(self.path(round), 0..crate::ROWS)]
        };
        for (name, ids) in expected {
            let path = folder.join(&name);
            let appends = self == Self::Appended;
            let expected = if appends { self.appended(round + 1) } else { self.text(ids) };
            if variant.read(&path)? != expected {
                return Err(format!("the file '{name}' is not what an import without kills makes"));
            }
            if !appends {
                std::fs::remove_file(&path).map_err(|error| error.to_string())?;
            }
        }
        let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
        let left: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("Crash") && *name != Self::Appended.path(0))
            .collect();
        if left.is_empty() { Ok(()) } else { Err(format!("files are left: {left:?}")) }
    }
}
