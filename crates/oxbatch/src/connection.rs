//! The connection of a command: to the database, or to a service that is reached over HTTP.

use std::time::Duration;

use oxbatch_core::engine::{Operator, OperatorError};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::{Drain, NodeStatus};
use oxbatch_core::{JobExecution, JobRegistry, Status, StepExecution};
use oxbatch_server::view::ForecastView;
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::CliError;
use crate::exit::Exit;
use crate::remote::{RemoteError, RemoteService};

/// First wait between two polls of a service; doubled by each up to [`LONGEST_POLL`].
const FIRST_POLL: Duration = Duration::from_millis(100);
/// Longest wait between two polls of a service.
const LONGEST_POLL: Duration = Duration::from_secs(1);
/// Time that a service may be away, as for its restart, before a command that waits gives up.
const LONGEST_OUTAGE: Duration = Duration::from_secs(60);
/// A wait without a bound of its own is made of waits of this length.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// The connection of a command.
pub(crate) enum Connection {
    Database(Box<Operator>),
    Service(RemoteService),
}

/// The code that the table of an execution's job has for its exit code, where this program knows the job.
pub(crate) fn of_job(registry: &JobRegistry, execution: &JobExecution) -> Option<u8> {
    let exit_code = execution.exit_code.as_deref().unwrap_or(execution.status.as_str());
    registry.get(&execution.job_name)?.process_exit_codes().find(exit_code)
}

impl Connection {
    /// An execution that must be there.
    pub(crate) async fn execution(&self, id: ExecutionId) -> Result<JobExecution, CliError> {
        Ok(match self {
            Self::Database(operator) => operator.execution(id).await?,
            Self::Service(service) => service.execution(id).await?,
        })
    }

    /// The steps of an execution in the order in which they began.
    pub(crate) async fn steps(&self, id: ExecutionId) -> Result<Vec<StepExecution>, CliError> {
        Ok(match self {
            Self::Database(operator) => operator.repository().steps(id).await?,
            Self::Service(service) => service.steps(id).await?,
        })
    }

    /// The time that is left of an execution.
    pub(crate) async fn forecast(&self, execution: &JobExecution) -> Result<Option<ForecastView>, CliError> {
        Ok(match self {
            Self::Database(operator) => operator.forecast(execution).await?.map(Into::into),
            Self::Service(service) => service.forecast(execution.id).await?,
        })
    }

    /// The reason why an execution waits, where a pause of launches holds it up.
    pub(crate) async fn held_up_by(&self, execution: &JobExecution) -> Result<Option<String>, CliError> {
        if execution.status != Status::Starting {
            return Ok(None);
        }
        Ok(match self {
            Self::Database(operator) => operator.held_up_by(execution).await.map_err(OperatorError::from)?,
            Self::Service(service) => service.held_up_by(execution.id).await?,
        })
    }

    /// Asks an execution to stop; how it stands then.
    pub(crate) async fn stop(&self, id: ExecutionId) -> Result<JobExecution, CliError> {
        Ok(match self {
            Self::Database(operator) => {
                operator.stop(id).await?;
                // The process that ran it may be dead: then nobody else would ever answer the request.
                operator.end_if_dead(id).await?
            }
            Self::Service(service) => service.stop(id).await?,
        })
    }

    /// Gives an execution up.
    pub(crate) async fn abandon(&self, id: ExecutionId) -> Result<JobExecution, CliError> {
        Ok(match self {
            Self::Database(operator) => {
                operator.end_if_dead(id).await?;
                operator.abandon(id).await?
            }
            Self::Service(service) => service.abandon(id).await?,
        })
    }

    /// The nodes that share the database.
    pub(crate) async fn nodes(&self) -> Result<Vec<NodeStatus>, CliError> {
        Ok(match self {
            Self::Database(operator) => operator.nodes().await?,
            Self::Service(service) => service.nodes().await?.items,
        })
    }

    /// Drains a node, or with `None` lets it take work again.
    pub(crate) async fn drain(&self, boot_id: Uuid, drain: Option<Drain>) -> Result<NodeStatus, CliError> {
        Ok(match self {
            Self::Database(operator) => operator.drain(boot_id, drain).await?,
            Self::Service(service) => service.drain(boot_id, drain).await?,
        })
    }

    /// Waits until a node is as `is_done` wants it, but not longer than `at_most`; its state then, `None` when it has
    /// ended.
    pub(crate) async fn wait_for_node(
        &self,
        boot_id: Uuid,
        at_most: Duration,
        is_done: impl Fn(&NodeStatus) -> bool,
    ) -> Result<Option<NodeStatus>, CliError> {
        let service = match self {
            Self::Database(operator) => return Ok(operator.wait_for_node(boot_id, at_most, is_done).await?),
            Self::Service(service) => service,
        };
        let deadline = Instant::now() + at_most;
        loop {
            let node = service.nodes().await?.items.into_iter().find(|node| node.report.node.boot_id == boot_id);
            let now = Instant::now();
            if now >= deadline || node.as_ref().is_none_or(&is_done) {
                return Ok(node);
            }
            tokio::time::sleep_until(deadline.min(now + LONGEST_POLL)).await;
        }
    }

    /// The exit code of this process for an execution: that of its job's table where it has ended and the table has
    /// one, else that of its status.
    pub(crate) async fn exit_of(&self, execution: &JobExecution) -> Result<Exit, CliError> {
        if execution.status.is_running() {
            return Ok(Exit::of(execution.status));
        }
        let its_own = match self {
            Self::Database(operator) => of_job(operator.registry(), execution),
            Self::Service(service) => service.process_exit_code(execution).await?,
        };
        Ok(Exit::of_job(execution.status, its_own))
    }

    /// Waits until an execution has ended, without a bound when there is none; how it stands then.
    pub(crate) async fn wait(&self, id: ExecutionId, at_most: Option<Duration>) -> Result<JobExecution, CliError> {
        loop {
            let execution = match self {
                Self::Database(operator) => operator.wait(id, at_most.unwrap_or(LONG)).await?,
                Self::Service(service) => poll(service, id, at_most.unwrap_or(LONG)).await?,
            };
            if at_most.is_some() || !execution.status.is_running() {
                return Ok(execution);
            }
        }
    }
}

/// Polls a service until an execution has ended or the time is over. A service that is away for a while is waited for.
async fn poll(service: &RemoteService, id: ExecutionId, at_most: Duration) -> Result<JobExecution, RemoteError> {
    let deadline = Instant::now() + at_most;
    let (mut every, mut answered) = (FIRST_POLL, Instant::now());
    loop {
        match service.execution(id).await {
            Ok(execution) if !execution.status.is_running() || Instant::now() >= deadline => return Ok(execution),
            Ok(_) => answered = Instant::now(),
            // The service itself logs nothing here, and the calls before have logged each repetition.
            Err(error) if error.is_transient() && answered.elapsed() < LONGEST_OUTAGE => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + every)).await;
        every = (every * 2).min(LONGEST_POLL);
    }
}
