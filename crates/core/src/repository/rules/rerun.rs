//! Re-runs of skipped items: which are refused, which resume the last one, and in which instance they run.

use super::launch::{LastExecution, Origin};
use crate::execution::{ExecutionId, InstanceId, JobParameters};
use crate::repository::{LaunchError, LaunchRequest, RerunRequest};

/// The execution whose skipped items are run again.
#[derive(Debug, Clone, PartialEq)]
pub struct RerunSource {
    /// Its instance.
    pub instance_id: InstanceId,
    /// Its job.
    pub job_name: String,
    /// Its parameters, with which the items are run again.
    pub parameters: JobParameters,
    /// The context of its job as JSON.
    pub context: Option<String>,
    /// `true` if it was launched as one that can be resumed.
    pub restartable: bool,
}

impl RerunSource {
    /// The launch of the execution that runs its skipped items.
    pub fn launch(self, request: &RerunRequest) -> LaunchRequest {
        LaunchRequest {
            job_name: self.job_name,
            parameters: self.parameters,
            force: false,
            new_run: false,
            // The items are run again by whatever the job is by now.
            definition: None,
            accept_changes: true,
            restartable: self.restartable,
            admission: request.admission.clone(),
            after: None,
            idempotency: None,
            trace_parent: None,
        }
    }
}

/// The last execution that ran the skipped items of another again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRerun {
    /// Its instance.
    pub instance_id: InstanceId,
    /// The execution.
    pub execution: LastExecution,
}

/// The instance of a re-run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RerunInstance {
    /// The one of the last re-run, which goes on.
    Resumed(InstanceId, Origin),
    /// A new one with this key, when any of the items is pending.
    New {
        /// Its key.
        job_key: String,
        /// The past that its execution goes on from.
        origin: Origin,
    },
}

/// The instance in which the skipped items of the execution `of` run again. `source` is what is known of it, `running`
/// runs in its instance, and `last` ran them before.
///
/// # Errors
/// Something of them runs already.
pub fn instance(
    of: ExecutionId,
    source: &RerunSource,
    running: Option<ExecutionId>,
    last: Option<LastRerun>,
) -> Result<RerunInstance, LaunchError> {
    let runs = last.as_ref().filter(|last| last.execution.status.is_running()).map(|last| last.execution.id);
    if let Some(execution_id) = running.or(runs) {
        return Err(LaunchError::AlreadyRunning { execution_id });
    }
    let rerun_of = Some(of);
    Ok(match last {
        Some(LastRerun { instance_id, execution }) if execution.status.is_restartable() => {
            let lineage = Some(execution.lineage);
            let origin = Origin { context: execution.context, lineage, rerun_of, definition: None };
            RerunInstance::Resumed(instance_id, origin)
        }
        // An instance of its own: the first one's steps, checkpoints and restarts have nothing to do with it. No
        // parameters have this key, and no other re-run comes after the same execution, also when some were purged.
        last => {
            let before = last.map_or(of, |last| last.execution.id);
            let job_key = format!("skips of execution {of}, re-run after execution {before}");
            RerunInstance::New {
                job_key,
                origin: Origin { context: source.context.clone(), rerun_of, ..Origin::default() },
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::Status;

    fn source() -> RerunSource {
        let (instance_id, job_name) = (InstanceId(1), "Job".to_owned());
        RerunSource { instance_id, job_name, parameters: JobParameters::default(), context: None, restartable: true }
    }

    #[test]
    fn a_rerun_resumes_what_can_be_restarted_waits_for_nothing_and_never_joins_another_instance() {
        let of = ExecutionId(5);
        let last = |status| {
            let (id, lineage) = (ExecutionId(9), ExecutionId(8));
            let execution = LastExecution { id, status, lineage, context: None, definition: None };
            Some(LastRerun { instance_id: InstanceId(2), execution })
        };
        assert!(instance(of, &source(), Some(ExecutionId(6)), None).is_err());
        for status in Status::ALL {
            let found = instance(of, &source(), None, last(status));
            match status {
                status if status.is_running() => assert!(found.is_err(), "{status}"),
                Status::Stopped | Status::Failed => {
                    let RerunInstance::Resumed(id, origin) = found.unwrap() else { panic!("{status}") };
                    assert_eq!((id, origin.lineage, origin.rerun_of), (InstanceId(2), Some(ExecutionId(8)), Some(of)));
                }
                _ => {
                    let RerunInstance::New { job_key, origin } = found.unwrap() else { panic!("{status}") };
                    assert_eq!(job_key, "skips of execution 5, re-run after execution 9");
                    assert_eq!((origin.lineage, origin.rerun_of), (None, Some(of)));
                }
            }
        }
        let RerunInstance::New { job_key, .. } = instance(of, &source(), None, None).unwrap() else { panic!() };
        assert_eq!(job_key, "skips of execution 5, re-run after execution 5");
    }
}
