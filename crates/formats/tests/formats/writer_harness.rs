//! Drives any writer as the engine does, with a death wherever the plan says so.

use std::io::Write;
use std::path::Path;

use oxbatch_core::item::{Checkpoint, ItemWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::{NoTransaction, stored};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) number: Option<i64>,
}

/// Rows with the characters that formats trip over; `\0` where the format can hold it.
pub(crate) fn rows(with_nul: bool) -> impl Strategy<Value = Vec<Row>> {
    let pieces = ["a", "ß", "鳥", ",", "\"", "\n", "\r", "\t", " ", "<", "&", "]]>", "[", "}", "\0"];
    let piece = (0..pieces.len() - usize::from(!with_nul)).prop_map(move |index| pieces[index]);
    let text = vec(piece, 0..6).prop_map(|pieces| pieces.concat());
    vec((text, any::<Option<i64>>()).prop_map(|(text, number)| Row { text, number }), 0..40)
}

/// The fate of an attempt to commit a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Committed,
    RolledBack,
    /// The write is tried and rolled back without a flush, as the search for bad items does.
    Tried,
    DiesBeforeFlush,
    DiesBeforeCommit,
    DiesAfterCommit,
    LeavesGarbage,
}

pub(crate) type Plan = Vec<(usize, Fate)>;

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let fate = prop_oneof![
        6 => Just(Fate::Committed),
        1 => Just(Fate::RolledBack),
        1 => Just(Fate::Tried),
        1 => Just(Fate::DiesBeforeFlush),
        1 => Just(Fate::DiesBeforeCommit),
        1 => Just(Fate::DiesAfterCommit),
        1 => Just(Fate::LeavesGarbage),
    ];
    vec((0..9_usize, fate), 0..30)
}

/// Writes `rows`, dying as planned; the plan ends in commits, the step in a death after the publication.
pub(crate) async fn write_all<W: ItemWriter<Row>>(make: impl Fn() -> W, folder: &Path, rows: &[Row], plan: &Plan) {
    let mut plan = plan.iter().copied().chain(std::iter::repeat((7, Fate::Committed)));
    let mut saved: (usize, Option<Checkpoint>) = (0, None);
    let mut writer = make();
    writer.open(None).await.unwrap();
    loop {
        let (size, fate) = plan.next().unwrap();
        let (done, at_end) = (saved.0, saved.0 == rows.len());
        let next = (done + size).min(rows.len());
        if at_end {
            writer.finish(&mut NoTransaction).await.unwrap();
        } else if next > done {
            writer.write(&rows[done..next], &mut NoTransaction).await.unwrap();
        }
        match fate {
            Fate::DiesBeforeFlush => {}
            Fate::Tried => {
                writer.rolled_back().await.unwrap();
                continue;
            }
            _ => {
                let checkpoint = stored(&writer.flush().await.unwrap().unwrap());
                match fate {
                    Fate::Committed => {
                        saved = (next, Some(checkpoint));
                        writer.committed();
                        if at_end {
                            break;
                        }
                        continue;
                    }
                    Fate::RolledBack => {
                        writer.rolled_back().await.unwrap();
                        continue;
                    }
                    Fate::DiesAfterCommit => saved = (next, Some(checkpoint)),
                    _ => {}
                }
            }
        }
        drop(writer);
        if let Fate::LeavesGarbage = fate {
            leave_garbage(folder);
        }
        writer = make();
        writer.open(saved.1.as_ref()).await.unwrap();
    }
    writer.publish().await.unwrap();
    drop(writer);
    // Died before the step's end was recorded.
    let mut writer = make();
    writer.open(saved.1.as_ref()).await.unwrap();
    writer.finish(&mut NoTransaction).await.unwrap();
    writer.flush().await.unwrap();
    writer.committed();
    writer.publish().await.unwrap();
    writer.close().await.unwrap();
}

/// The last of the unpublished files of each output ends in bytes that nobody committed.
fn leave_garbage(folder: &Path) {
    let names = crate::harness::names(folder);
    for name in names.iter().rev().filter(|name| name.ends_with(".part")).take(1) {
        let mut file = std::fs::OpenOptions::new().append(true).open(folder.join(name)).unwrap();
        file.write_all(b"garbage").unwrap();
    }
}
