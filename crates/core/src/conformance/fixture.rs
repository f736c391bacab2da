//! Short ways to launch, run and end executions, for all cases.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::execution::{
    ContextChanges, Counters, ExecutionContext, ExecutionId, JobExecution, JobParameters, StatusEvent,
};
use crate::repository::{
    Admission, ChunkSave, ClaimRequest, Claimed, Drain, ExecutionOutcome, JobRepository, KnownJobs, LaunchError,
    LaunchRequest, Launched, Lease, NewStep, Node, NodeReport, NodeStatus, RecoverPolicy, RecoverRequest, Recovered,
    RenewedLease, RunLimits, StartedStep, StepOutcome, StepStart,
};

/// The job of the cases.
pub const JOB: &str = "Job";
/// Another job.
pub const OTHER_JOB: &str = "Another";
/// A lease that outlasts each case.
pub const LONG: Duration = Duration::from_secs(600);

/// A repository with a node of its own: a process.
pub struct Process {
    /// Its handle.
    pub repository: Box<dyn JobRepository>,
    /// Its node.
    pub node: Node,
}

/// A launch of the instance `key`.
pub fn launch_of(key: i64) -> LaunchRequest {
    LaunchRequest {
        job_name: JOB.to_owned(),
        parameters: JobParameters::default().with("key", key),
        force: false,
        new_run: false,
        definition: None,
        accept_changes: false,
        restartable: true,
        admission: Admission {
            time: Timestamp::now(),
            claim: None,
            priority: 0,
            limits: RunLimits::default(),
            queue_limit: 100,
        },
        after: None,
        idempotency: None,
        trace_parent: None,
    }
}

/// The launch, but it comes to run in another way.
pub fn admitted(mut request: LaunchRequest, change: impl FnOnce(&mut Admission)) -> LaunchRequest {
    change(&mut request.admission);
    request
}

/// Jobs that share a fingerprint.
pub fn known(jobs: impl IntoIterator<Item = &'static str>, fingerprint: &str) -> KnownJobs {
    KnownJobs::new(jobs.into_iter().map(|job| (job.to_owned(), fingerprint.to_owned())))
}

/// The changes that make one context of another, both as JSON.
pub fn changes(stored: &str, context: &str) -> ContextChanges {
    let read = |json| ExecutionContext::from_json(json).unwrap();
    read(context).changes_since(&read(stored))
}

/// A step without rules.
pub fn step_of(name: &str) -> NewStep {
    NewStep {
        step_name: name.to_owned(),
        iteration: 1,
        since: None,
        rerun_if_complete: false,
        start_limit: None,
        time: Timestamp::now(),
    }
}

impl Process {
    /// A process that has announced its node.
    pub async fn start(backend: &dyn super::Backend) -> Self {
        let process = Self { repository: backend.open(), node: Node::new("node") };
        process.repository.register_node(&process.node).await.unwrap();
        process.beat(LONG).await;
        process
    }

    /// The report of the node about itself.
    pub fn report(&self, lease: Duration) -> NodeReport {
        NodeReport {
            node: self.node.clone(),
            version: "1.2.3".to_owned(),
            jobs: [JOB.to_owned()].into(),
            capacity: 8,
            lease,
            start_time: Timestamp::UNIX_EPOCH,
        }
    }

    /// Tells that the node lives.
    pub async fn beat(&self, lease: Duration) -> Option<Drain> {
        self.repository.heartbeat(&self.report(lease)).await.unwrap()
    }

    /// The node as the store sees it.
    pub async fn seen_by(&self, other: &Self) -> Option<NodeStatus> {
        let nodes = other.repository.nodes().await.unwrap();
        nodes.into_iter().find(|status| status.report.node == self.node)
    }

    /// Launches, queued.
    pub async fn launch(&self, request: LaunchRequest) -> Result<Launched, LaunchError> {
        self.repository.launch(request).await
    }

    /// Launches the instance `key` on this node.
    pub async fn run(&self, key: i64, lease: Duration) -> Lease {
        let request = admitted(launch_of(key), |admission| admission.claim = Some((self.node.clone(), lease)));
        self.launch(request).await.unwrap().lease.unwrap()
    }

    /// Launches the instance `key` on this node, as one that nothing resumes.
    pub async fn run_once(&self, key: i64, lease: Duration) -> Lease {
        let request = admitted(LaunchRequest { restartable: false, ..launch_of(key) }, |admission| {
            admission.claim = Some((self.node.clone(), lease));
        });
        self.launch(request).await.unwrap().lease.unwrap()
    }

    /// Launches the instance `key` on this node, from the start.
    pub async fn force(&self, key: i64) -> Lease {
        let request = admitted(LaunchRequest { force: true, ..launch_of(key) }, |admission| {
            admission.claim = Some((self.node.clone(), LONG))
        });
        self.launch(request).await.unwrap().lease.unwrap()
    }

    /// Takes the foremost waiting execution.
    pub async fn claim(&self, lease: Duration) -> Option<Claimed> {
        self.claim_within(lease, RunLimits::default()).await
    }

    /// Takes the foremost waiting execution that the limits allow.
    pub async fn claim_within(&self, lease: Duration, limits: RunLimits) -> Option<Claimed> {
        self.claim_as("{}", lease, limits).await
    }

    /// Takes the foremost waiting execution that the limits allow, with a fingerprint of each job.
    pub async fn claim_as(&self, fingerprint: &str, lease: Duration, limits: RunLimits) -> Option<Claimed> {
        let jobs = Arc::new(known([JOB, OTHER_JOB], fingerprint));
        let request = ClaimRequest { node: self.node.clone(), lease, jobs, limits, time: Timestamp::now(), only: None };
        self.repository.claim(request).await.unwrap()
    }

    /// Begins a step that has to run.
    pub async fn start_step(&self, lease: &Lease, name: &str) -> StartedStep {
        match self.repository.start_step(lease, step_of(name)).await.unwrap() {
            StepStart::Run(started) => *started,
            other => panic!("step {name} does not run: {other:?}"),
        }
    }

    /// Commits one chunk with a state.
    pub async fn commit(&self, step: &StartedStep, state: &str) {
        let mut transaction = self.repository.chunk_transaction(&step.fence).await.unwrap();
        transaction.commit(save(state, &Counters { commit: 1, ..Counters::default() })).await.unwrap();
    }

    /// Ends a step.
    pub async fn end_step(&self, step: &StartedStep, event: StatusEvent) {
        self.repository.finish_step(&step.fence, step_outcome(event)).await.unwrap();
    }

    /// Runs a whole step.
    pub async fn run_step(&self, lease: &Lease, name: &str, event: StatusEvent) {
        let step = self.start_step(lease, name).await;
        self.end_step(&step, event).await;
    }

    /// Ends an execution.
    pub async fn end(&self, lease: &Lease, event: StatusEvent) -> JobExecution {
        self.repository.finish_execution(lease, outcome(event, false)).await.unwrap()
    }

    /// Renews the leases on what it holds.
    pub async fn renew(&self, held: &[Lease]) -> Vec<RenewedLease> {
        let held = held.iter().map(|lease| lease.key).collect();
        self.repository.renew(&self.node, held, LONG).await.unwrap()
    }

    /// Recovers by restarting.
    pub async fn recover(&self) -> Vec<Recovered> {
        self.repository.recover(self.recovery()).await.unwrap()
    }

    /// A request for recovery by restarting, at most 3 times in a row, of a process that runs nothing.
    pub fn recovery(&self) -> RecoverRequest {
        RecoverRequest {
            node: self.node.clone(),
            held: Vec::new(),
            policy: RecoverPolicy::Restart,
            max_recoveries: 3,
            time: Timestamp::now(),
            only: None,
        }
    }

    /// An execution that exists.
    pub async fn execution(&self, id: ExecutionId) -> JobExecution {
        self.repository.execution(id).await.unwrap().unwrap()
    }
}

/// The content of a chunk's save.
pub fn save<'a>(state: &'a str, counters: &'a Counters) -> ChunkSave<'a> {
    ChunkSave {
        state,
        counters,
        control_totals: None,
        progress: Some(0.5),
        job_context: None,
        skips: &[],
        rerun: &[],
        time: None,
    }
}

/// The end of a step.
pub fn step_outcome(event: StatusEvent) -> StepOutcome {
    StepOutcome {
        event,
        exit_code: None,
        exit_message: None,
        counters: Counters::default(),
        progress: None,
        shares: None,
        state: None,
        job_context: None,
        flow: None,
        time: Timestamp::now(),
    }
}

/// The end of an execution.
pub fn outcome(event: StatusEvent, resume: bool) -> ExecutionOutcome {
    ExecutionOutcome { event, exit_code: None, exit_message: None, resume, time: Timestamp::now() }
}
