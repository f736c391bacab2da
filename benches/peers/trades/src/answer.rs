//! The request of the runner for one piece of work, and the answer of a program.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::BoxError;

/// One piece of work as the arguments of a program: `WORK ROWS CHUNK FOLDER`.
#[derive(Debug, Clone)]
pub struct Task {
    /// Which work.
    pub work: String,
    /// Number of rows of the input.
    pub rows: u64,
    /// Items in a chunk.
    pub chunk: usize,
    /// Where `trades.csv` is and where outputs go.
    pub folder: PathBuf,
}

impl Task {
    /// Reads the arguments of a program.
    pub fn from_arguments(arguments: &[String]) -> Result<Self, BoxError> {
        let [work, rows, chunk, folder] = arguments else {
            return Err("arguments: WORK ROWS CHUNK FOLDER".into());
        };
        Ok(Self { work: work.clone(), rows: rows.parse()?, chunk: chunk.parse()?, folder: folder.into() })
    }

    /// The input.
    pub fn input(&self) -> PathBuf {
        self.folder.join("trades.csv")
    }
}

/// A program's one line on its standard output, as JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Answer {
    /// From the beginning of the work to its end, without the start of the process.
    pub seconds: f64,
    /// The same for its parts, where it has any.
    #[serde(default)]
    pub parts: BTreeMap<String, f64>,
    /// Checksum of an output that is no file and no table.
    #[serde(default)]
    pub checksum: Option<u64>,
}

impl Answer {
    /// Work of one part.
    pub fn of(time: Duration) -> Self {
        Self { seconds: time.as_secs_f64(), ..Self::default() }
    }

    /// Adds a part of the work.
    #[must_use]
    pub fn with(mut self, part: &str, time: Duration) -> Self {
        self.seconds += time.as_secs_f64();
        self.parts.insert(part.to_owned(), time.as_secs_f64());
        self
    }

    /// The line.
    pub fn line(&self) -> Result<String, BoxError> {
        Ok(serde_json::to_string(self)?)
    }
}
