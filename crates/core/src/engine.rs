//! Runs jobs: takes executions, runs their steps on threads of their own, keeps leases, recovers, stops, shuts down.

mod bulk;
mod changes;
mod channels;
mod clock;
mod config;
mod decide;
mod dispatch;
mod forecast;
mod grace;
mod heartbeat;
mod job_end;
mod job_listeners;
mod launch_pauses;
mod local;
mod logs;
mod notices;
mod notifications;
mod operator;
mod persist;
mod preview;
mod refusal;
mod rerun;
mod rerun_plan;
mod restart;
mod restart_plan;
mod retention;
mod run_flow;
mod run_job;
mod run_step;
mod running;
mod scheduler;
mod schedules;
mod seen_files;
mod start_step;
mod state;
mod step_end;
mod store;
mod tally;
mod time_limit;
mod waiting;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use bulk::{BulkPlan, MAX_PLANNED_BULK};
pub use clock::{Clock, SystemClock};
pub use config::{
    DEFAULT_CONCURRENCY, DEFAULT_HEARTBEAT, DEFAULT_LEASE, DEFAULT_MAX_RECOVERIES, DEFAULT_QUEUE_LIMIT,
    DEFAULT_SHUTDOWN_TIMEOUT, DEFAULT_STOP_GRACE, EngineConfig,
};
pub use forecast::Forecast;
pub use operator::{LaunchOptions, Operator, OperatorConfig};
pub use preview::{
    DEFAULT_PREVIEW_ITEMS, DEFAULT_PREVIEW_TIME, MAX_PREVIEW_ITEMS, Preview, PreviewEnd, PreviewError, PreviewOptions,
};
pub use refusal::OperatorError;
pub use rerun_plan::{LeftSkip, MAX_LEFT_SHOWN, Rerun};
pub use restart_plan::{Course, CourseEnd, MAX_PLANNED, PlannedAction, PlannedElement, RestartPlan, ResumePoint};
pub use running::LiveStep;
pub use scheduler::{
    BackfillPlan, BackfillRequest, DEFAULT_BACKFILL_RUNNING, DEFAULT_NEXT, PlannedFire, ScheduleStatus, Scheduler,
    SchedulerError, Ticked,
};
pub use store::NotReady;
pub use tally::{DURATION_BOUNDS, JobTotals, NodeTotals};
pub use waiting::Waiting;

use crate::event::EventSink;
pub use crate::event::{Event, EventConsumer, Limited};
use crate::execution::ExecutionId;
use crate::job::{GivenParameters, JobRegistry};
use crate::repository::{Claimed, JobRepository, Launched, RepositoryError};
use local::LocalNode;
use state::EngineState;
use store::StoreHealth;
use tally::Tally;

/// The time that a node that ends tries to remove its row: without that, it is shown as gone for a while.
const REMOVE_NODE_WITHIN: Duration = Duration::from_secs(2);

/// A node that launches and runs jobs. Cheap to clone; all clones are the same node. It is an [`Operator`] too, whose
/// requests it hears at once.
///
/// It lives in a tokio runtime with timers. User code never runs on that runtime's threads: each step has a thread of
/// its own, so a job that burns CPU or blocks for ever cannot make the service deaf.
#[derive(Clone)]
pub struct Engine {
    operator: Operator,
    state: Arc<EngineState>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("node", &self.state.config.node).finish_non_exhaustive()
    }
}

impl Deref for Engine {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.operator
    }
}

impl Engine {
    /// Starts a node: announces it, recovers what dead owners left, and begins to take waiting executions.
    ///
    /// # Errors
    /// When the repository cannot be used.
    pub async fn start(
        registry: JobRegistry,
        repository: Arc<dyn JobRepository>,
        config: EngineConfig,
    ) -> Result<Self, RepositoryError> {
        repository.register_node(&config.node).await?;
        let report = EngineState::report_of(&registry, &config);
        repository.heartbeat(&report).await?;
        let tally = Arc::new(Tally::new(&registry));
        let mut consumers = config.consumers.clone();
        consumers.push(Arc::clone(&tally) as Arc<dyn EventConsumer>);
        let events = EventSink::new(consumers);
        let local = Arc::new(LocalNode::new(config.node.clone(), repository.listen().is_some()));
        let operator = Operator::sharing(
            registry.clone(),
            Arc::clone(&repository),
            OperatorConfig::of(&config),
            events.clone(),
            Arc::clone(&local),
        );
        let state = Arc::new(EngineState {
            known: Arc::new(start_step::known_jobs(&registry, &config)),
            limits: operator.limits().clone(),
            tally,
            store: StoreHealth::new(),
            report,
            drain: watch::Sender::new(None),
            drained: CancellationToken::new(),
            registry,
            repository,
            events,
            local,
            tasks: TaskTracker::new(),
            config,
        });
        state.tasks.spawn(heartbeat::keep(Arc::clone(&state)));
        state.tasks.spawn(notifications::listen(Arc::clone(&state)));
        if state.config.take_work {
            state.tasks.spawn(notices::keep(Arc::clone(&state), state.config.notices.clone()));
            dispatch::recover(&state).await?;
            state.tasks.spawn(dispatch::take_work(Arc::clone(&state)));
            state.tasks.spawn(bulk::keep(Arc::clone(&state), operator.clone()));
            state.tasks.spawn(schedules::keep(Arc::clone(&state), operator.scheduler()));
            if let Some(time) = state.config.retention {
                state.tasks.spawn(retention::keep(Arc::clone(&state), time));
            }
        }
        Ok(Self { operator, state })
    }

    /// The operator of the node.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The settings of the node.
    pub fn config(&self) -> &EngineConfig {
        &self.state.config
    }

    /// The sums of this node since its start, those of its running steps included.
    pub fn totals(&self) -> NodeTotals {
        self.state.tally.totals()
    }

    /// The number of executions that run on this node.
    pub fn running_count(&self) -> usize {
        self.state.local.running.count()
    }

    /// Launches a job and runs it on this node at once, whatever waits.
    ///
    /// # Errors
    /// As [`Operator::launch`].
    pub async fn launch_here(
        &self,
        job_name: &str,
        given: GivenParameters,
        options: LaunchOptions,
    ) -> Result<Launched, OperatorError> {
        let launched = self.operator.launch_with(job_name, given, options, self.claim()).await?;
        self.run(&launched);
        Ok(launched)
    }

    /// Restarts an execution and runs it on this node at once; as a plan says, where its tag is given.
    ///
    /// # Errors
    /// As [`Operator::restart_as_planned`].
    pub async fn restart_here(
        &self,
        id: ExecutionId,
        plan: Option<&str>,
        accept_changes: bool,
    ) -> Result<Launched, OperatorError> {
        let launched = self.operator.restart_with(id, plan, self.claim(), accept_changes).await?;
        self.run(&launched);
        Ok(launched)
    }

    /// Runs the skipped items of an execution again, on this node at once.
    ///
    /// # Errors
    /// As [`Operator::rerun_skips`].
    pub async fn rerun_skips_here(&self, id: ExecutionId) -> Result<Rerun, OperatorError> {
        let rerun = self.operator.rerun_with(id, self.claim()).await?;
        self.run(&rerun.launched);
        Ok(rerun)
    }

    fn claim(&self) -> operator::Claim {
        Some((self.state.config.node.clone(), self.state.config.lease))
    }

    /// Runs what this node has claimed at its launch.
    fn run(&self, launched: &Launched) {
        if let (Some(lease), false) = (launched.lease, launched.replayed) {
            // It was compared with its past by the launch.
            let (execution, running) = (launched.execution.clone(), Duration::ZERO);
            let claimed = Claimed { execution, lease, running, past_definition: None, begun: None };
            run_job::spawn(&self.state, claimed, None);
        }
    }

    /// Waits until the node was asked to drain and then to end, and nothing runs on it any more.
    pub async fn drained(&self) {
        self.state.drained.cancelled().await;
    }

    /// Waits until the store is gone under the node, and says what became of it. Nothing can be kept any more: what ran
    /// was dropped, and what is left is to end the process.
    pub async fn store_gone(&self) -> RepositoryError {
        self.state.store.until_gone().await
    }

    /// `true` if the node can take work: it does not shut down, and its heartbeats are written down.
    ///
    /// # Errors
    /// [`NotReady`] says why it cannot.
    pub fn check_ready(&self) -> Result<(), NotReady> {
        match self.state.store.check(self.state.config.heartbeat_every) {
            Ok(()) if self.is_shutting_down() => Err(NotReady::ShuttingDown),
            checked => checked,
        }
    }

    /// `true` if it has begun to shut down: launches are refused.
    pub fn is_shutting_down(&self) -> bool {
        self.state.local.closing.is_cancelled()
    }

    /// Takes no new work, lets running steps go on to their next chunk boundary, records them as STOPPED with exit code
    /// SHUTDOWN, and gives all leases back. Returns within the configured time.
    pub async fn shutdown(&self) {
        let (state, local) = (&self.state, &self.state.local);
        if !local.closing.is_cancelled() {
            state.events.emit(&Event::ShuttingDown { running: local.running.count() });
        }
        local.closing.cancel();
        local.running.shut_down();
        state.tasks.close();
        // A step that ignores the request is left behind after the configured time; recording it takes a moment more.
        let bound = state.config.shutdown_timeout + grace::LEAVE_BEHIND_AFTER * 2;
        let _ = tokio::time::timeout(bound, state.tasks.wait()).await;
        if state.store.gone().is_none() {
            let removed =
                tokio::time::timeout(REMOVE_NODE_WITHIN, state.repository.remove_node(&state.config.node)).await;
            if let Ok(Err(error)) = removed {
                state.report_trouble("remove the node", &error);
            }
        }
        if let Err(error) = state.repository.close().await {
            state.report_trouble("close the repository", &error);
        }
    }
}
