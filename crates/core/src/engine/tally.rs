//! The sums of a node since its start: what has ended on it, and what its running steps have counted.
//!
//! It hears the events of the engine, a few for each step execution; the counters of running steps are read when
//! somebody asks. A step is counted by its row from its end on, in the same moment in which its running counters are
//! left out, so that no sum ever goes back.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Event, EventConsumer};
use crate::execution::{Counters, ExecutionId, JobExecution, Status, StepExecutionId};
use crate::job::JobRegistry;
use crate::step::LiveCounters;

/// The upper bounds of the classes of durations, in seconds; one more class has no bound.
pub const DURATION_BOUNDS: [f64; 8] = [1.0, 5.0, 30.0, 120.0, 600.0, 1_800.0, 7_200.0, 28_800.0];

/// The sums of a node since its start.
#[derive(Debug, Clone, Default)]
pub struct NodeTotals {
    /// By job; jobs without any are there too.
    pub jobs: BTreeMap<String, JobTotals>,
    /// Executions that another node took over, or that were given up since the store is gone.
    pub lost_leases: u64,
    /// Executions of dead owners that this node has ended.
    pub recovered: u64,
    /// Failures of the repository in the background.
    pub repository_troubles: u64,
}

/// The sums of a job on a node.
#[derive(Debug, Clone, Default)]
pub struct JobTotals {
    /// Executions that have ended here, by status.
    pub ended: BTreeMap<Status, u64>,
    /// Executions by the class of their duration, as [`DURATION_BOUNDS`] has them.
    pub durations: [u64; DURATION_BOUNDS.len() + 1],
    /// The sum of all durations.
    pub duration: Duration,
    /// The counters of all its steps.
    pub counters: Counters,
}

impl JobTotals {
    fn add(&mut self, execution: &JobExecution) {
        *self.ended.entry(execution.status).or_default() += 1;
        let (Some(start), Some(end)) = (execution.start_time, execution.end_time) else { return };
        let took: Duration = end.duration_since(start).try_into().unwrap_or_default();
        let class = DURATION_BOUNDS.iter().take_while(|bound| took.as_secs_f64() > **bound).count();
        self.durations[class] += 1;
        self.duration += took;
    }
}

/// Keeps the sums.
pub(super) struct Tally {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    totals: NodeTotals,
    /// The jobs of the executions that run here.
    running: HashMap<ExecutionId, String>,
    steps: HashMap<StepExecutionId, (ExecutionId, Arc<LiveCounters>)>,
}

impl Tally {
    /// Sums of the jobs of a registry, and of no others.
    pub(super) fn new(registry: &JobRegistry) -> Self {
        let jobs = registry.iter().map(|job| (job.name().to_owned(), JobTotals::default())).collect();
        let totals = NodeTotals { jobs, ..NodeTotals::default() };
        Self { state: Mutex::new(State { totals, ..State::default() }) }
    }

    /// The sums as of now.
    pub(super) fn totals(&self) -> NodeTotals {
        let state = self.lock();
        let mut totals = state.totals.clone();
        for (execution_id, live) in state.steps.values() {
            if let Some(job) = state.running.get(execution_id).and_then(|job| totals.jobs.get_mut(job)) {
                job.counters = job.counters.plus(&live.counters());
            }
        }
        totals
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a step that does not run any more.
    fn end_step(&mut self, step_id: StepExecutionId, counters: Option<&Counters>) {
        let Some((execution_id, live)) = self.steps.remove(&step_id) else { return };
        let counters = counters.copied().unwrap_or_else(|| live.counters());
        if let Some(job) = self.running.get(&execution_id).and_then(|job| self.totals.jobs.get_mut(job)) {
            job.counters = job.counters.plus(&counters);
        }
    }

    /// Forgets an execution, with steps whose ends were not seen.
    fn end(&mut self, id: ExecutionId) {
        let left: Vec<_> = self.steps.iter().filter(|(_, (of, _))| *of == id).map(|(step_id, _)| *step_id).collect();
        for step_id in left {
            self.end_step(step_id, None);
        }
        self.running.remove(&id);
    }
}

impl EventConsumer for Tally {
    fn on_event(&self, event: &Event<'_>) {
        let mut state = self.lock();
        match *event {
            Event::ExecutionStarted { execution } => {
                state.running.insert(execution.id, execution.job_name.clone());
            }
            Event::StepStarted { execution_id, step_id, live, .. } => {
                state.steps.insert(step_id, (execution_id, Arc::clone(live)));
            }
            // What was counted live is never more than what is recorded, except where the store has lost chunks.
            Event::StepFinished { step } => state.end_step(step.id, Some(&step.counters)),
            Event::ExecutionFinished { execution } => {
                state.end(execution.id);
                if let Some(job) = state.totals.jobs.get_mut(&execution.job_name) {
                    job.add(execution);
                }
            }
            Event::LeaseLost { execution_id } => {
                state.end(execution_id);
                state.totals.lost_leases += 1;
            }
            Event::ExecutionRecovered { .. } => state.totals.recovered += 1,
            Event::RepositoryTrouble { .. } => state.totals.repository_troubles += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::execution::InstanceId;
    use crate::job::JobParameters;
    use crate::{Job, TaskStep};

    fn execution(id: i64, job_name: &str, seconds: i64) -> JobExecution {
        JobExecution {
            id: ExecutionId(id),
            instance_id: InstanceId(1),
            job_name: job_name.to_owned(),
            status: Status::Completed,
            create_time: Timestamp::UNIX_EPOCH,
            start_time: Some(Timestamp::UNIX_EPOCH),
            end_time: Timestamp::from_second(seconds).ok(),
            exit_code: None,
            exit_message: None,
            parameters: JobParameters::default(),
            forced: false,
            node: None,
            recovery_count: 0,
            priority: 0,
            rerun_of: None,
            rerun_by: None,
            change_time: Timestamp::UNIX_EPOCH,
            trace_parent: None,
        }
    }

    #[test]
    fn sums_never_go_back_and_have_no_job_that_is_not_declared() {
        let job = Job::builder("Job").step(TaskStep::builder("Step", |_| Ok(()))).build().unwrap();
        let tally = Tally::new(&JobRegistry::new([job]).unwrap());
        let live = Arc::new(LiveCounters::default());
        let read = || tally.totals().jobs["Job"].counters.read;
        for (id, job) in [(1, "Job"), (2, "Another")] {
            let execution = execution(id, job, 0);
            tally.on_event(&Event::ExecutionStarted { execution: &execution });
            tally.on_event(&Event::StepStarted {
                execution_id: ExecutionId(id),
                step_id: StepExecutionId(id),
                step_name: "Step",
                resumed: false,
                live: &live,
            });
        }
        live.store(&Counters { read: 7, ..Counters::default() }, None);
        assert_eq!(read(), 7);
        // Its end was not seen: it is counted as it was seen last.
        tally.on_event(&Event::LeaseLost { execution_id: ExecutionId(1) });
        assert_eq!((read(), tally.totals().lost_leases), (7, 1));
        for (seconds, class) in [(0, 0), (1, 0), (2, 1), (100_000, DURATION_BOUNDS.len())] {
            let before = tally.totals().jobs["Job"].durations[class];
            tally.on_event(&Event::ExecutionFinished { execution: &execution(3, "Job", seconds) });
            assert_eq!(tally.totals().jobs["Job"].durations[class], before + 1, "{seconds}");
        }
        tally.on_event(&Event::ExecutionFinished { execution: &execution(2, "Another", 1) });
        let totals = tally.totals();
        assert_eq!(totals.jobs.keys().collect::<Vec<_>>(), ["Job"]);
        assert_eq!(totals.jobs["Job"].ended[&Status::Completed], 4);
    }
}
