//! Admission: which launches are refused, and what an accepted one goes on from.

use jiff::Timestamp;

use super::corrupt;
use crate::execution::{EXIT_DEFINITION_CHANGED, ExecutionId, Status, StatusEvent, next};
use crate::job::{JobParameters, Parameter, ParameterValue, RUN_PARAMETER, Reached, definition_difference};
use crate::repository::{Admission, IdempotencyKey, LaunchError, LaunchRequest, RepositoryError, RunLimits};

/// Outdated idempotency keys that one launch clears away: more than it adds, so they do not pile up.
pub const KEYS_CLEARED: i64 = 16;

/// The last execution of an instance, as its next launch sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Its status.
    pub status: Status,
    /// The execution from which completed steps count.
    pub lineage: ExecutionId,
    /// The job's context as JSON.
    pub context: Option<String>,
    /// The fingerprint of the definition on which what follows depends, see [`definition_of_past`]; `None` for one that
    /// an older version has run.
    pub definition: Option<String>,
}

/// The fingerprint of the definition on which the past of an instance depends, by its last execution: that with which
/// it was run. One that no node has taken, or that was refused for its definition, leaves the one of before.
pub fn definition_of_past(own: Option<String>, past: Option<String>, exit_code: Option<&str>) -> Option<String> {
    match exit_code {
        Some(EXIT_DEFINITION_CHANGED) => past,
        _ => own.or(past),
    }
}

/// The past that a new execution goes on from; the default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The job's context as JSON.
    pub context: Option<String>,
    /// The execution from which completed steps count; `None` for the new one itself.
    pub lineage: Option<ExecutionId>,
    /// The execution whose skipped items it runs again.
    pub rerun_of: Option<ExecutionId>,
    /// The last execution, and the fingerprint of the definition on which its past depends; `None` where nothing is to
    /// be compared.
    pub definition: Option<(ExecutionId, String)>,
}

impl Origin {
    /// The definition on which the past depends, and that of a launch, where they differ at all: what was reached has
    /// to be read then, for [`check_definition`].
    pub fn changed_definition<'a>(&'a self, request: &'a LaunchRequest) -> Option<ChangedDefinition<'a>> {
        let ((execution_id, past), now) = self.definition.as_ref().zip(request.definition.as_deref())?;
        (past != now).then_some(ChangedDefinition { execution_id: *execution_id, past, now })
    }
}

/// Two definitions of a job that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedDefinition<'a> {
    /// The last execution of the instance.
    pub execution_id: ExecutionId,
    past: &'a str,
    now: &'a str,
}

/// Refuses a launch under a definition that differs in what was reached.
///
/// # Errors
/// It does, or one of the definitions cannot be read.
pub fn check_definition(changed: ChangedDefinition<'_>, reached: Reached<'_>) -> Result<(), LaunchError> {
    let ChangedDefinition { execution_id, past, now } = changed;
    match definition_difference(past, now, reached) {
        Ok(None) => Ok(()),
        Ok(Some(difference)) => Err(LaunchError::DefinitionChanged { execution_id, difference }),
        Err(error) => {
            let what = format!("definition of the job of execution {execution_id}");
            Err(RepositoryError::Corrupt { what, source: error.into() }.into())
        }
    }
}

/// The past that a launch of an instance goes on from.
///
/// # Errors
/// The launch is refused while the last execution runs; where another was to be the last; unless it is forced, after
/// one that was abandoned; and after one that was not completed where the job is not restartable.
pub fn origin(last: Option<LastExecution>, request: &LaunchRequest) -> Result<Origin, LaunchError> {
    let not_last = |execution_id| LaunchError::NotLast { execution_id, last: last.as_ref().map(|last| last.id) };
    let unexpected = request.after.filter(|after| last.as_ref().is_none_or(|last| last.id != *after)).map(not_last);
    let Some(last) = last else { return unexpected.map_or(Ok(Origin::default()), Err) };
    if last.status.is_running() {
        return Err(LaunchError::AlreadyRunning { execution_id: last.id });
    }
    if let Some(unexpected) = unexpected {
        return Err(unexpected);
    }
    if request.force {
        return Ok(Origin::default());
    }
    match last.status {
        Status::Abandoned => Err(LaunchError::Abandoned { execution_id: last.id }),
        status if status.is_restartable() && !request.restartable => {
            Err(LaunchError::NotRestartable { execution_id: last.id, status })
        }
        status => {
            // After a completed one nothing is resumed.
            let compares = status.is_restartable() && !request.accept_changes;
            let definition = last.definition.filter(|_| compares).map(|definition| (last.id, definition));
            Ok(Origin { context: last.context, lineage: Some(last.lineage), rerun_of: None, definition })
        }
    }
}

/// The run number that a launch gives by itself.
pub fn given_run(parameters: &JobParameters) -> Option<i64> {
    let run = parameters.get(RUN_PARAMETER).filter(|run| run.identifying)?;
    if let ParameterValue::Integer(run) = run.value { Some(run) } else { None }
}

/// The number of a new run after the greatest one: from 1 on.
///
/// # Errors
/// There is none.
pub fn next_run(greatest: Option<i64>) -> Result<i64, LaunchError> {
    let greatest = greatest.unwrap_or(0).max(0);
    greatest.checked_add(1).ok_or(LaunchError::NoRunNumber { greatest })
}

/// The launch with the number of its run.
pub fn numbered(request: &LaunchRequest, run: i64) -> LaunchRequest {
    let mut numbered = request.clone();
    let run = Parameter { value: ParameterValue::Integer(run), identifying: true, secret: false };
    numbered.parameters.insert(RUN_PARAMETER, run);
    numbered
}

/// The execution that a repeated launch is answered with: that of the launch which used its key before.
///
/// # Errors
/// The key was used for another launch.
pub fn replayed(key: &IdempotencyKey, request_hash: &str, id: ExecutionId) -> Result<ExecutionId, LaunchError> {
    match request_hash == key.request_hash {
        true => Ok(id),
        false => Err(LaunchError::KeyReused { key: key.key.clone(), execution_id: id }),
    }
}

/// Refuses a launch that would wait, when as many wait as may.
///
/// # Errors
/// The queue is full.
pub fn check_queue(admission: &Admission, waiting: i64) -> Result<(), LaunchError> {
    let limit = admission.queue_limit;
    match admission.claim.is_none() && waiting >= i64::from(limit) {
        true => Err(LaunchError::QueueFull { limit }),
        false => Ok(()),
    }
}

/// Refuses a launch that would run at once, when as many run as may: of its job, or of all jobs together.
///
/// # Errors
/// The limit is reached.
pub fn check_limits(job_name: &str, limits: &RunLimits, running: Running) -> Result<(), LaunchError> {
    match reached_limit(job_name, limits, running) {
        Some((of_job, limit)) => Err(LaunchError::LimitReached { job: of_job.then(|| job_name.to_owned()), limit }),
        None => Ok(()),
    }
}

/// The limit that is reached, and whether it is that of the job; otherwise it is that of all jobs together.
pub fn reached_limit(job_name: &str, limits: &RunLimits, running: Running) -> Option<(bool, u32)> {
    let of_job = limits.of_job(job_name).filter(|limit| running.of_job >= i64::from(*limit));
    let of_all = || limits.total.filter(|limit| running.in_all >= i64::from(*limit));
    of_job.map(|limit| (true, limit)).or_else(|| of_all().map(|limit| (false, limit)))
}

/// The number of running executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Of the job that is launched.
    pub of_job: i64,
    /// Of all jobs.
    pub in_all: i64,
}

/// The begin of an execution: waiting in the queue, or taken by a node at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// Its status.
    pub status: Status,
    /// The time at which it began to run.
    pub start_time: Option<Timestamp>,
    /// Name of the node that runs it.
    pub node: Option<String>,
    /// Owner of its lease.
    pub owner: Option<String>,
    /// Epoch of its lease; 0 before there was one.
    pub epoch: i64,
    /// The time that its lease lasts.
    pub lease: Option<std::time::Duration>,
}

/// The begin of a new execution.
///
/// # Errors
/// A defect of the state machine.
pub fn begin(admission: &Admission) -> Result<Begin, RepositoryError> {
    Ok(match &admission.claim {
        None => Begin { status: Status::Starting, start_time: None, node: None, owner: None, epoch: 0, lease: None },
        Some((node, lease)) => Begin {
            status: claimed()?,
            start_time: Some(admission.time),
            node: Some(node.name.clone()),
            owner: Some(node.to_string()),
            epoch: 1,
            lease: Some(*lease),
        },
    })
}

/// The status of an execution that a node has taken.
///
/// # Errors
/// A defect of the state machine.
pub fn claimed() -> Result<Status, RepositoryError> {
    next(Status::Starting, StatusEvent::Start).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::repository::Node;

    fn admission(queue_limit: u32, claim: bool) -> Admission {
        let claim = claim.then(|| (Node::new("node"), Duration::from_secs(30)));
        Admission { time: Timestamp::UNIX_EPOCH, claim, priority: 0, limits: RunLimits::default(), queue_limit }
    }

    fn launch(force: bool, restartable: bool) -> LaunchRequest {
        LaunchRequest {
            job_name: "Job".to_owned(),
            parameters: JobParameters::default(),
            force,
            new_run: false,
            definition: Some("now".to_owned()),
            accept_changes: false,
            restartable,
            admission: admission(1, false),
            after: None,
            idempotency: None,
            trace_parent: None,
        }
    }

    fn last(status: Status) -> LastExecution {
        let (context, definition) = (Some("{}".to_owned()), Some("past".to_owned()));
        LastExecution { id: ExecutionId(7), status, lineage: ExecutionId(3), context, definition }
    }

    #[test]
    fn a_launch_goes_on_from_the_last_execution_unless_it_is_forced_or_refused() {
        let of = |status, force| {
            origin(Some(last(status)), &launch(force, true))
                .map(|origin| origin.lineage)
                .map_err(|error| error.to_string())
        };
        for status in Status::ALL {
            let [plain, forced] = [false, true].map(|force| of(status, force));
            match status {
                Status::Starting | Status::Started | Status::Stopping => {
                    assert!(plain.unwrap_err().contains("already running") && forced.is_err(), "{status}");
                }
                Status::Abandoned => {
                    assert!(plain.unwrap_err().contains("was abandoned"));
                    assert_eq!(forced, Ok(None));
                }
                Status::Stopped | Status::Failed | Status::Completed => {
                    assert_eq!((plain, forced), (Ok(Some(ExecutionId(3))), Ok(None)), "{status}");
                }
            }
        }
        assert_eq!(origin(None, &launch(false, true)).unwrap(), Origin::default());
    }

    #[test]
    fn a_launch_behind_a_certain_execution_is_refused_when_another_is_the_last() {
        let behind = |after, last: Option<LastExecution>| {
            let request = LaunchRequest { after: Some(ExecutionId(after)), ..launch(false, true) };
            origin(last, &request).map(|origin| origin.lineage).map_err(|error| error.to_string())
        };
        assert_eq!(behind(7, Some(last(Status::Failed))), Ok(Some(ExecutionId(3))));
        let refused = "execution 7 of the same job instance came after execution 6".to_owned();
        assert_eq!(behind(6, Some(last(Status::Failed))), Err(refused));
        let running = behind(6, Some(last(Status::Started))).unwrap_err();
        assert!(running.contains("already running"), "{running}");
        assert_eq!(behind(6, None), Err("execution 6 is not there any more".to_owned()));
    }

    #[test]
    fn what_is_not_restartable_goes_on_from_nothing_that_was_not_completed() {
        for status in [Status::Failed, Status::Stopped] {
            let refused = origin(Some(last(status)), &launch(false, false)).unwrap_err();
            assert!(matches!(refused, LaunchError::NotRestartable { execution_id: ExecutionId(7), .. }), "{refused}");
            assert_eq!(
                refused.to_string(),
                format!(
                    "execution 7, the last of this job instance, is {status}, and its job is not restartable; launch it as a \
                     new run, or with force to run every step from the start"
                )
            );
            assert_eq!(origin(Some(last(status)), &launch(true, false)).unwrap(), Origin::default());
        }
        let complete = origin(Some(last(Status::Completed)), &launch(false, false)).unwrap();
        assert_eq!(complete.lineage, Some(ExecutionId(3)));
        let running = origin(Some(last(Status::Started)), &launch(true, false)).unwrap_err();
        assert!(matches!(running, LaunchError::AlreadyRunning { .. }), "{running}");
    }

    #[test]
    fn the_definition_is_compared_where_something_is_resumed_and_nobody_has_accepted_the_change() {
        let compared = |status, request: &LaunchRequest| {
            let origin = origin(Some(last(status)), request).unwrap();
            origin.changed_definition(request).map(|changed| (changed.execution_id.0, changed.past.to_owned()))
        };
        let plain = launch(false, true);
        for status in [Status::Failed, Status::Stopped] {
            assert_eq!(compared(status, &plain), Some((7, "past".to_owned())));
            assert_eq!(compared(status, &LaunchRequest { accept_changes: true, ..plain.clone() }), None);
            assert_eq!(compared(status, &LaunchRequest { definition: None, ..plain.clone() }), None);
            assert_eq!(compared(status, &LaunchRequest { definition: Some("past".to_owned()), ..plain.clone() }), None);
            assert_eq!(compared(status, &launch(true, true)), None);
        }
        assert_eq!(compared(Status::Completed, &plain), None);
        let of_older_version = LastExecution { definition: None, ..last(Status::Failed) };
        assert_eq!(origin(Some(of_older_version), &plain).unwrap().definition, None);
    }

    #[test]
    fn the_definition_of_the_past_is_that_of_the_last_execution_that_was_run() {
        let of = |own: Option<&str>, exit_code| {
            definition_of_past(own.map(str::to_owned), Some("past".to_owned()), exit_code)
        };
        assert_eq!(of(Some("own"), Some("FAILED")).as_deref(), Some("own"));
        assert_eq!(of(None, Some("STOPPED")).as_deref(), Some("past"), "no node has taken it");
        assert_eq!(of(Some("own"), Some(EXIT_DEFINITION_CHANGED)).as_deref(), Some("past"), "it was refused");
        assert_eq!(definition_of_past(None, None, None), None);
    }

    #[test]
    fn runs_are_numbered_from_one_on_as_long_as_there_are_numbers() {
        let next = |greatest| next_run(greatest).map_err(|error| error.to_string());
        assert_eq!([next(None), next(Some(-5)), next(Some(0)), next(Some(41))], [Ok(1), Ok(1), Ok(1), Ok(42)]);
        assert_eq!(next(Some(i64::MAX)).unwrap_err(), format!("the job has no run number left after {}", i64::MAX));
        let numbered = numbered(&launch(false, true), 7);
        assert_eq!((given_run(&numbered.parameters), given_run(&JobParameters::default())), (Some(7), None));
        let mut parameters = JobParameters::default().with(RUN_PARAMETER, "7");
        assert_eq!(given_run(&parameters), None, "a text is no number");
        parameters.insert(RUN_PARAMETER, Parameter { value: 7.into(), identifying: false, secret: false });
        assert_eq!(given_run(&parameters), None, "it does not identify");
    }

    #[test]
    fn a_full_queue_refuses_what_would_wait() {
        for (claim, waiting, refused) in [(false, 1, false), (false, 2, true), (false, 9, true), (true, 9, false)] {
            assert_eq!(check_queue(&admission(2, claim), waiting).is_err(), refused, "{claim} {waiting}");
        }
        assert!(check_queue(&admission(0, false), 0).is_err());
    }

    #[test]
    fn limits_of_the_job_and_of_all_jobs_refuse_what_would_run_at_once() {
        let limits = RunLimits { of_jobs: [("Job".to_owned(), 2)].into(), total: Some(5) };
        let refused = |job, of_job, in_all| match check_limits(job, &limits, Running { of_job, in_all }) {
            Ok(()) => None,
            Err(LaunchError::LimitReached { job, limit }) => Some((job, limit)),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(refused("Job", 1, 4), None);
        assert_eq!(refused("Job", 2, 2), Some((Some("Job".to_owned()), 2)));
        assert_eq!(refused("Other", 4, 5), Some((None, 5)));
        assert_eq!(refused("Other", 4, 4), None);
    }

    #[test]
    fn a_key_answers_the_same_launch_and_no_other() {
        let key = IdempotencyKey { key: "k".to_owned(), request_hash: "h".to_owned(), life: Duration::from_secs(1) };
        assert_eq!(replayed(&key, "h", ExecutionId(1)).unwrap(), ExecutionId(1));
        assert!(replayed(&key, "other", ExecutionId(1)).is_err());
    }

    #[test]
    fn what_is_claimed_at_once_has_an_owner_and_what_waits_has_none() {
        let (waits, runs) = (begin(&admission(1, false)).unwrap(), begin(&admission(1, true)).unwrap());
        assert_eq!((waits.status, waits.epoch, waits.owner), (Status::Starting, 0, None));
        assert_eq!((runs.status, runs.epoch, runs.node.as_deref()), (Status::Started, 1, Some("node")));
    }
}
