//! The events of the engine: one closed enum. Logs, progress bars, event streams and tests are consumers of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::execution::{ExecutionId, JobExecution, StepExecution, StepExecutionId};
use crate::notice::Notice;
use crate::repository::{Drain, Fire, LateFire, PurgeReport, Recovered, RepositoryError};
use crate::secret::Mask;
use crate::step::LiveCounters;

/// An event on a node.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A launch was accepted; it is durable.
    ExecutionLaunched {
        /// The execution.
        execution: &'a JobExecution,
    },
    /// This node begins to run an execution.
    ExecutionStarted {
        /// The execution.
        execution: &'a JobExecution,
    },
    /// The job of an execution is defined otherwise than when its past was run.
    DefinitionChanged {
        /// The execution.
        execution_id: ExecutionId,
        /// The difference in what was reached, for which it is refused; `None` when only what is yet to come has
        /// changed.
        difference: Option<&'a str>,
    },
    /// A step begins.
    StepStarted {
        /// The execution.
        execution_id: ExecutionId,
        /// The step execution.
        step_id: StepExecutionId,
        /// The step.
        step_name: &'a str,
        /// `true` if it resumes an earlier attempt.
        resumed: bool,
        /// Its counters while it runs, to be sampled.
        live: &'a Arc<LiveCounters>,
    },
    /// A step need not run: an earlier execution has completed it.
    StepAlreadyComplete {
        /// The execution.
        execution_id: ExecutionId,
        /// The step.
        step_name: &'a str,
    },
    /// Work that failed is repeated after a wait.
    RetryScheduled {
        /// The execution.
        execution_id: ExecutionId,
        /// The step.
        step_name: &'a str,
        /// Which repetition it is, from 1.
        retry: u32,
        /// The wait before it.
        delay: Duration,
        /// The error.
        cause: &'a str,
    },
    /// A listener has failed in a way that changes nothing: its error is recorded with the end of its step or
    /// execution.
    ListenerFailed {
        /// The execution.
        execution_id: ExecutionId,
        /// The step; `None` for a listener of the job.
        step_name: Option<&'a str>,
        /// The method that failed.
        method: &'static str,
        /// The error, with its causes.
        cause: &'a str,
    },
    /// A stop was requested of an execution that runs here.
    StopRequested {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// A step ignored the request to stop; its thread was left behind and can commit nothing any more.
    StepLeftBehind {
        /// The execution.
        execution_id: ExecutionId,
        /// The step.
        step_name: &'a str,
    },
    /// A decider does not answer yet; reported again as long as that lasts.
    DecisionPending {
        /// The execution.
        execution_id: ExecutionId,
        /// The decider.
        decider: &'a str,
        /// The time for which it has been asked.
        waited: Duration,
    },
    /// A decider did not answer in time; its thread was left behind, and its answer is of no account any more.
    DeciderLeftBehind {
        /// The execution.
        execution_id: ExecutionId,
        /// The decider.
        decider: &'a str,
    },
    /// A time limit is exceeded: what it bounds is ended.
    TimeLimitExceeded {
        /// The execution.
        execution_id: ExecutionId,
        /// The step or the decider that ran, or that was to begin.
        element: &'a str,
        /// The part that the limit bounds.
        limited: Limited,
        /// The limit.
        limit: Duration,
    },
    /// A step has ended.
    StepFinished {
        /// The step execution.
        step: &'a StepExecution,
    },
    /// An execution has ended.
    ExecutionFinished {
        /// The execution.
        execution: &'a JobExecution,
    },
    /// An execution of a dead owner was recovered.
    ExecutionRecovered {
        /// The execution, and its successor.
        recovered: &'a Recovered,
    },
    /// Another node owns the execution by now: this one drops it.
    LeaseLost {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// The repository failed in the background; the engine tries again.
    RepositoryTrouble {
        /// The operation that failed.
        doing: &'static str,
        /// The error.
        error: &'a RepositoryError,
    },
    /// The store itself is gone: the node drops what it runs and ends.
    RepositoryGone {
        /// The error.
        error: &'a RepositoryError,
    },
    /// The last lines of the log of an execution could not be stored, and are given up.
    LogLinesLost {
        /// The execution.
        execution_id: ExecutionId,
        /// The number of lines.
        lines: u64,
    },
    /// Executions that ended long ago were removed.
    HistoryPurged {
        /// The number of rows.
        report: &'a PurgeReport,
        /// The moment before which they had ended.
        ended_before: Timestamp,
    },
    /// A fire of a schedule was recorded.
    FireRecorded {
        /// The fire.
        fire: &'a Fire,
        /// The number of fires before it that were recorded as missed with it.
        missed: usize,
    },
    /// A fire is late at one of its deadlines.
    FireLate {
        /// The fire and the deadline.
        late: &'a LateFire,
    },
    /// A schedule cannot be seen to.
    ScheduleTrouble {
        /// Its name; empty where all are concerned.
        name: &'a str,
        /// A sentence fragment.
        problem: &'a str,
    },
    /// A notice was not delivered.
    NoticeFailed {
        /// The notice.
        notice: &'a Notice,
        /// A sentence fragment.
        problem: &'a str,
        /// `true` if it is given up.
        gives_up: bool,
    },
    /// The channels of notices of several services differ, or nobody has one any more.
    ChannelsDiffer {
        /// A sentence.
        problem: &'a str,
    },
    /// The node was asked to drain, or with `None` to take work again.
    DrainChanged {
        /// The request.
        drain: Option<Drain>,
    },
    /// The node has begun to shut down.
    ShuttingDown {
        /// Executions that still run here.
        running: usize,
    },
}

/// The part of an execution that a time limit bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limited {
    /// A step.
    Step,
    /// A decider.
    Decider,
    /// The main part of a job.
    Job,
    /// The steps at the end of an execution.
    Finally,
}

/// A consumer of events. Called on the engine's threads: it must not block; a panic in it is caught and has no effect.
pub trait EventConsumer: Send + Sync + 'static {
    /// Something has happened.
    fn on_event(&self, event: &Event<'_>);
}

/// All consumers of a node.
#[derive(Clone, Default)]
pub(crate) struct EventSink {
    consumers: Arc<[Arc<dyn EventConsumer>]>,
    /// Of the secrets of an execution, in the words of the author's code.
    mask: Mask,
}

impl EventSink {
    pub(crate) fn new(consumers: Vec<Arc<dyn EventConsumer>>) -> Self {
        Self { consumers: consumers.into(), mask: Mask::default() }
    }

    /// The same for one execution, whose secrets are masked.
    pub(crate) fn masking(&self, mask: &Mask) -> Self {
        Self { consumers: Arc::clone(&self.consumers), mask: mask.clone() }
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        match *event {
            Event::RetryScheduled { execution_id, step_name, retry, delay, cause } => {
                let cause = &self.mask.apply(cause);
                self.hand_out(&Event::RetryScheduled { execution_id, step_name, retry, delay, cause });
            }
            Event::ListenerFailed { execution_id, step_name, method, cause } => {
                let cause = &self.mask.apply(cause);
                self.hand_out(&Event::ListenerFailed { execution_id, step_name, method, cause });
            }
            _ => self.hand_out(event),
        }
    }

    fn hand_out(&self, event: &Event<'_>) {
        for consumer in self.consumers.iter() {
            // A consumer must not end what it observes. The panic hook has logged it.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| consumer.on_event(event)));
        }
    }
}
