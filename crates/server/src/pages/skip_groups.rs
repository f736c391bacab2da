//! Skipped items by their fault: one cause that is fixed lets many be run again.

use std::collections::BTreeMap;

use oxbatch_core::Engine;
use oxbatch_core::execution::StepExecutionId;

use super::text::shorten;
use crate::columns::ColumnMask;
use crate::error::Problem;
use crate::view::{SkipPhaseView, SkipView, StepView};

/// Items that are looked at, of a step.
const LOOKED_AT: u32 = 500;
/// Most groups.
const GROUPS: usize = 20;
/// Records that a group shows.
const RECORDS: usize = 5;
/// Most characters of a record.
const RECORD_CHARS: usize = 2_000;

/// Items with the same fault.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) step: String,
    pub(super) phase: &'static str,
    pub(super) fault: String,
    pub(super) count: usize,
    /// Those of them that were run again.
    pub(super) rerun: usize,
    pub(super) records: Vec<Record>,
}

/// A skipped item.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) place: String,
    pub(super) text: String,
    pub(super) is_cut: bool,
    pub(super) rerun_by: Option<i64>,
}

/// All groups of an execution.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    /// Items that no execution has run again.
    pub(super) pending: usize,
    /// There are more items than were looked at.
    pub(super) has_more: bool,
}

/// The word for a phase.
pub(super) const fn phase(phase: SkipPhaseView) -> &'static str {
    match phase {
        SkipPhaseView::Read => "reading",
        SkipPhaseView::Process => "processing",
        SkipPhaseView::Write => "writing",
    }
}

/// The fault of an error, without what is of its record alone: digits, and what stands in quotation marks.
fn fault(error: &str) -> String {
    let (mut out, mut quote) = (String::new(), None);
    for c in error.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => {
                quote = None;
                out.push('…');
                out.push(c);
            }
            (Some(_), _) => {}
            (None, '"') => {
                quote = Some(c);
                out.push(c);
            }
            (None, c) if c.is_ascii_digit() => {
                if !out.ends_with('#') {
                    out.push('#');
                }
            }
            (None, c) => out.push(c),
        }
    }
    out
}

impl Groups {
    /// The groups of the steps of an execution.
    pub(super) async fn of(engine: &Engine, steps: &[StepView], mask: &ColumnMask) -> Result<Self, Problem> {
        let mut found = Self::default();
        let mut by_fault: BTreeMap<(String, &'static str, String), Group> = BTreeMap::new();
        for step in steps.iter().filter(|step| step.skip_count > 0) {
            let page = engine.repository().skips(StepExecutionId(step.id), None, LOOKED_AT).await?;
            found.has_more |= page.next.is_some();
            for skip in page.skips.into_iter().map(|skip| SkipView::from(mask.skip(skip))) {
                found.pending += usize::from(skip.rerun_execution_id.is_none());
                add(&mut by_fault, &step.step_name, skip);
            }
        }
        found.groups = by_fault.into_values().collect();
        found.groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        found.groups.truncate(GROUPS);
        Ok(found)
    }
}

fn add(by_fault: &mut BTreeMap<(String, &'static str, String), Group>, step: &str, skip: SkipView) {
    let phase = phase(skip.phase);
    let key = (step.to_owned(), phase, fault(&skip.error));
    let group = by_fault.entry(key).or_insert_with(|| Group {
        step: step.to_owned(),
        phase,
        fault: skip.error.clone(),
        count: 0,
        rerun: 0,
        records: Vec::new(),
    });
    group.count += 1;
    group.rerun += usize::from(skip.rerun_execution_id.is_some());
    if group.records.len() < RECORDS {
        group.records.push(Record {
            place: skip.position.unwrap_or_else(|| "place not known".to_owned()),
            text: shorten(skip.item.as_deref().unwrap_or("(not kept)"), RECORD_CHARS),
            is_cut: !skip.complete,
            rerun_by: skip.rerun_execution_id,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rule_on_other_values_is_the_same_fault() {
        assert_eq!(fault("a repair for 1200 $ of \"N1\""), fault("a repair for 77 $ of \"B-747\""));
        assert_ne!(fault("odd"), fault("even"));
    }
}
