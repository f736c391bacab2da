//! The plan of a re-run of skipped items: what can be run again, what cannot and why, and which steps that takes.

use crate::execution::{ExecutionId, JobExecution, SkipPhase, StoredSkip};
use crate::job::Job;
use crate::repository::{JobRepository, KeptSkips, Launched, PendingSkips, RepositoryError, RerunStep};
use crate::step::{Reruns, Step};

/// Most items that an answer names one by one.
pub const MAX_LEFT_SHOWN: usize = 100;

/// An accepted re-run of the skipped items of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Rerun {
    /// The execution that runs them.
    pub launched: Launched,
    /// The number of items that it runs again.
    pub items: i64,
    /// The number of items that cannot be run again; they stay where they are.
    pub left_count: i64,
    /// The first [`MAX_LEFT_SHOWN`] of those.
    pub left: Vec<LeftSkip>,
}

/// A skipped item that cannot be run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftSkip {
    /// The step that skipped it.
    pub step_name: String,
    /// The item.
    pub skip: StoredSkip,
    /// The reason, and the remedy.
    pub reason: String,
}

/// The skipped items that are left of an execution, seen with the job as it is now.
pub(super) struct Plan {
    pub(super) steps: Vec<RerunStep>,
    pub(super) items: i64,
    left: Vec<LeftStep>,
}

/// Items of one step that cannot be run again.
struct LeftStep {
    step_name: String,
    count: i64,
    /// The items that the step can run again.
    reruns: Reruns,
    /// The reason why it can run none, where that is so.
    reason: Option<String>,
}

impl Plan {
    pub(super) fn new(job: &Job, kept: &[KeptSkips]) -> Self {
        let mut plan = Self { steps: Vec::new(), items: 0, left: Vec::new() };
        for KeptSkips { step_name, items, raw, incomplete, .. } in kept {
            let step = job.steps().iter().find(|step| step.name() == step_name);
            let reruns = step.map_or(Reruns::Nothing, Step::reruns);
            let (takes, leaves) = match reruns {
                Reruns::Nothing => (0, items + raw + incomplete),
                Reruns::Items => (*items, raw + incomplete),
                Reruns::ItemsAndRaw => (items + raw, *incomplete),
            };
            let reason = match (step, reruns) {
                (None, _) => Some(format!("job '{}' no longer has the step '{step_name}'", job.name())),
                (Some(_), Reruns::Nothing) => Some(format!(
                    "step '{step_name}' does not say how its items are read back: add .rerun_skips() to it"
                )),
                _ => None,
            };
            if takes > 0 {
                let raw = reruns == Reruns::ItemsAndRaw;
                plan.steps.push(RerunStep { step_name: step_name.clone(), raw });
                plan.items += takes;
            }
            if leaves > 0 {
                plan.left.push(LeftStep { step_name: step_name.clone(), count: leaves, reruns, reason });
            }
        }
        plan
    }

    /// The number of items that stay where they are.
    pub(super) fn left_count(&self) -> i64 {
        self.left.iter().map(|left| left.count).sum()
    }

    /// The reason why nothing can be run again.
    pub(super) fn refusal(&self) -> String {
        let Some(first) = self.left.first() else { return "it has no skipped items left".to_owned() };
        let why = first.reason.clone().unwrap_or_else(|| match first.reruns {
            Reruns::Items => format!(
                "those of step '{}' could not be read, which takes .parse_raw(…), or were not kept whole",
                first.step_name
            ),
            _ => format!("those of step '{}' were not kept whole", first.step_name),
        });
        let count = self.left_count();
        format!("none of the {count} skipped items left can be run again: {why}")
    }
}

/// The items that cannot be run again, each with its reason.
pub(super) async fn left_skips(
    repository: &dyn JobRepository,
    id: ExecutionId,
    plan: &Plan,
) -> Result<Vec<LeftSkip>, RepositoryError> {
    let mut found = Vec::new();
    for LeftStep { step_name, reruns, reason, .. } in &plan.left {
        for rerunnable in [false, true] {
            // Of a step that can run nothing again, its whole items are left as well.
            if (rerunnable && *reruns != Reruns::Nothing) || found.len() >= MAX_LEFT_SHOWN {
                continue;
            }
            let request = PendingSkips {
                execution_id: id,
                step_name: step_name.clone(),
                rerunnable,
                raw: *reruns != Reruns::Items,
                after: None,
                limit: u32::try_from(MAX_LEFT_SHOWN - found.len()).unwrap_or(1),
            };
            for skip in repository.pending_skips(request).await?.skips {
                let reason = reason.clone().unwrap_or_else(|| reason_of(&skip).to_owned());
                found.push(LeftSkip { step_name: step_name.clone(), skip, reason });
            }
        }
    }
    Ok(found)
}

/// The reason why an item is left of a step that can run items again.
fn reason_of(skip: &StoredSkip) -> &'static str {
    match (&skip.item.item, skip.item.complete, skip.item.phase) {
        (None, ..) => "nothing was kept of it that could be read back",
        // Neither JSON ends like that, nor does a record that is cut elsewhere.
        (Some(text), false, _) if text.ends_with('…') => "it was too long to be kept whole",
        (Some(_), false, SkipPhase::Read) => "what was kept of it is not all of it",
        (Some(_), false, _) => "the JSON that was kept of it does not read back as the item that it was",
        (Some(_), true, SkipPhase::Read) => "it could not be read: add .parse_raw(…) to the step to read its raw text",
        (Some(_), true, _) => "it cannot be run again",
    }
}

/// The steps that an execution runs.
pub(super) enum StepsOf<'a> {
    /// All that its job has.
    All,
    /// The steps whose skipped items it runs again.
    Some(Vec<&'a Step>),
    /// The execution whose skipped items it was to run again is not there any more, and they went with it.
    Gone(ExecutionId),
}

/// The reason why an execution cannot run the skipped items of another.
pub(super) fn gone(of: ExecutionId) -> String {
    format!("execution {of}, whose skipped items it was to run again, is not there any more, nor are they")
}

/// The steps that an execution runs.
pub(super) async fn steps_of<'a>(
    repository: &dyn JobRepository,
    job: &'a Job,
    execution: &JobExecution,
) -> Result<StepsOf<'a>, RepositoryError> {
    let Some(of) = execution.rerun_of else { return Ok(StepsOf::All) };
    // Without it nothing would be found to run, which must not pass for a re-run that is complete.
    if repository.execution(of).await?.is_none() {
        return Ok(StepsOf::Gone(of));
    }
    let kept = repository.kept_skips(of, Some(execution.instance_id)).await?;
    let plan = Plan::new(job, &kept);
    // One whose items are all run may still have its output to publish.
    let begun = kept.iter().filter(|kept| kept.rerun > 0).map(|kept| kept.step_name.as_str());
    let mut names: Vec<&str> = plan.steps.iter().map(|step| step.step_name.as_str()).collect();
    names.extend(begun);
    Ok(StepsOf::Some(job.steps().iter().filter(|step| names.contains(&step.name())).collect()))
}
