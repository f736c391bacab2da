//! Changes that are one commit: the claim with the begin of the first step, and the end of the last step with that of
//! its execution.

use super::finish::StepEnd;
use super::step::RunningExecution;
use crate::job::ParameterValue;
use crate::repository::{ClaimRequest, Claimed, FirstStep, NewStep};

/// The step that begins with a claim: the first one of the job, where the node has nothing to do before it that could
/// end the execution.
///
/// That is so where the node names it ([`KnownJobs::first_step`](crate::repository::KnownJobs::first_step)), no secret
/// is to be opened, no skipped items are to be found, it does not go on by itself with another execution, whose running
/// time counts for its limits, and the past depends on no other definition of the job.
pub fn first_step(claimed: &Claimed, running: &RunningExecution, request: &ClaimRequest) -> Option<NewStep> {
    let execution = &claimed.execution;
    let FirstStep { step_name, rerun_if_complete, start_limit } = request.jobs.first_step(&execution.job_name)?.clone();
    let secret = |value: &ParameterValue| matches!(value, ParameterValue::Secret(_));
    let definition = request.jobs.fingerprint(&execution.job_name);
    let is_to_be_asked = execution.rerun_of.is_some()
        || running.launched != execution.id
        || claimed.past_definition.as_deref().is_some_and(|past| Some(past) != definition)
        || execution.parameters.iter().any(|(_, parameter)| secret(&parameter.value));
    let step = NewStep { step_name, iteration: 1, since: None, rerun_if_complete, start_limit, time: request.time };
    (!is_to_be_asked).then_some(step)
}

/// The facts about an execution, one step of which has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BehindStep {
    /// `true` if the way leads to another element.
    pub leads_on: bool,
    /// `true` if steps run at the end of the execution.
    pub has_finally: bool,
    /// `true` if listeners of the job are called before its end is recorded.
    pub has_listeners: bool,
}

impl BehindStep {
    /// Returns whether the execution ends with the step: nothing is to be run, called or recorded between the two.
    pub fn ends_execution(self) -> bool {
        !(self.leads_on || self.has_finally || self.has_listeners)
    }
}

/// Returns whether the execution ends with its last step. One of which the store knows better how it stands leaves the
/// execution running: the node has to hear of it first.
pub fn ends_execution(end: &StepEnd) -> bool {
    matches!(end, StepEnd::AsReported(_))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::execution::{ExecutionId, InstanceId, JobExecution, Status};
    use crate::job::{JobParameters, Parameter, ParameterType, SecretValue};
    use crate::repository::rules::finish::End;
    use crate::repository::{KnownJobs, Lease, Node, RunLimits};

    fn claimed() -> Claimed {
        let execution = JobExecution {
            id: ExecutionId(1),
            instance_id: InstanceId(1),
            job_name: "Job".to_owned(),
            status: Status::Started,
            create_time: Timestamp::UNIX_EPOCH,
            start_time: Some(Timestamp::UNIX_EPOCH),
            end_time: None,
            exit_code: None,
            exit_message: None,
            parameters: JobParameters::default().with("a", 1),
            forced: false,
            node: None,
            recovery_count: 0,
            priority: 0,
            rerun_of: None,
            rerun_by: None,
            change_time: Timestamp::UNIX_EPOCH,
            trace_parent: None,
        };
        let lease = Lease::on_execution(ExecutionId(1), 1);
        Claimed { execution, lease, running: Duration::ZERO, past_definition: None, begun: None }
    }

    fn running() -> RunningExecution {
        let (status, instance_id, launched) = (Status::Started, InstanceId(1), ExecutionId(1));
        RunningExecution { status, instance_id, lineage: 1, context: None, launched }
    }

    fn request() -> ClaimRequest {
        let jobs = ["Job", "Another"].map(|job| (job.to_owned(), "now".to_owned()));
        let step = FirstStep { step_name: "Step".to_owned(), rerun_if_complete: true, start_limit: Some(2) };
        ClaimRequest {
            node: Node::new("node"),
            lease: Duration::from_secs(1),
            jobs: Arc::new(KnownJobs::new(jobs).with_first_steps([("Job".to_owned(), step)])),
            limits: RunLimits::default(),
            time: Timestamp::UNIX_EPOCH,
            only: None,
        }
    }

    #[test]
    fn the_first_step_begins_with_the_claim_unless_something_may_end_the_execution_before_it() {
        let begins = |change: &dyn Fn(&mut Claimed)| {
            let mut claimed = claimed();
            change(&mut claimed);
            first_step(&claimed, &running(), &request())
        };
        let step = begins(&|_| {}).unwrap();
        assert_eq!((step.step_name.as_str(), step.iteration, step.start_limit), ("Step", 1, Some(2)));
        assert!(step.rerun_if_complete && step.since.is_none());
        assert!(begins(&|claimed| claimed.past_definition = Some("now".to_owned())).is_some());
        let hidden = Parameter::secret(SecretValue::hidden(ParameterType::String));
        let asked: [&dyn Fn(&mut Claimed); 4] = [
            &|claimed| claimed.execution.job_name = "Another".to_owned(),
            &|claimed| claimed.execution.rerun_of = Some(ExecutionId(7)),
            &|claimed| claimed.past_definition = Some("before".to_owned()),
            &|claimed| claimed.execution.parameters.insert("b", hidden.clone()),
        ];
        for (number, change) in asked.into_iter().enumerate() {
            assert_eq!(begins(change), None, "{number}");
        }
        let resumes = RunningExecution { launched: ExecutionId(7), ..running() };
        assert_eq!(first_step(&claimed(), &resumes, &request()), None);
    }

    #[test]
    fn an_execution_ends_with_a_step_behind_which_nothing_is_left_to_do() {
        let behind = BehindStep { leads_on: false, has_finally: false, has_listeners: false };
        assert!(behind.ends_execution());
        for behind in [
            BehindStep { leads_on: true, ..behind },
            BehindStep { has_finally: true, ..behind },
            BehindStep { has_listeners: true, ..behind },
        ] {
            assert!(!behind.ends_execution(), "{behind:?}");
        }
    }

    #[test]
    fn an_execution_does_not_end_with_a_step_that_the_store_knows_better() {
        let end = End { status: Status::Failed, exit_code: "FAILED".to_owned(), exit_message: None };
        assert!(ends_execution(&StepEnd::AsReported(end.clone())));
        assert!(!ends_execution(&StepEnd::AsKept(end)));
    }
}
