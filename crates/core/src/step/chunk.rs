//! A chunk step: its builder (`builder`), its loop (`run`), its reading half (`fill`) and its writing half (`commit`).

mod ahead;
mod buffers;
mod builder;
mod commit;
mod contexts;
mod control;
mod definition;
mod fill;
mod hand;
mod input;
mod interrupt;
mod isolate;
mod joining;
mod kept;
mod kept_ids;
mod listening;
mod mapping;
mod parallel;
mod part;
mod preview;
mod process;
mod read;
mod rejects;
mod rerun;
mod run;
mod sealed;
mod settings;
mod side_thread;
mod standing;
mod tally;
mod target;
mod totals;
mod workers;

pub use builder::{ChunkStep, ChunkStepBuilder, ChunkStepStart, NoWriter};
pub use part::{ByResult, ByValue, IntoProcessor, IntoReader, IntoWriter};
pub use settings::{DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE, MAX_PROCESSORS, ReadAhead};
