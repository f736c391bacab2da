//! The settings of an operator, and the options of its launches.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::clock::{Clock, SystemClock};
use crate::engine::config::{DEFAULT_LEASE, DEFAULT_MAX_RECOVERIES, DEFAULT_QUEUE_LIMIT, EngineConfig};
use crate::execution::TraceParent;
use crate::repository::Node;
use crate::secret::Secrets;

/// The settings of an operator. Everything but the node has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct OperatorConfig {
    /// The node that asks: the one that runs in this process, or the name of this process.
    pub node: Node,
    /// Executions that may run at once on all nodes together; `None` for any number.
    pub max_running: Option<u32>,
    /// Launches that may wait; one more is refused. [`DEFAULT_QUEUE_LIMIT`]
    pub queue_limit: u32,
    /// Recoveries in a row without progress. [`DEFAULT_MAX_RECOVERIES`]
    pub max_recoveries: i64,
    /// The time for which bulk work stays with a process that does not answer. [`DEFAULT_LEASE`]
    pub lease: Duration,
    /// The clock of the times that are shown.
    pub clock: Arc<dyn Clock>,
    /// The keys that encrypt secret parameters, and the folder of named secrets.
    pub secrets: Secrets,
}

impl std::fmt::Debug for OperatorConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorConfig").field("node", &self.node).finish_non_exhaustive()
    }
}

impl OperatorConfig {
    /// The defaults for a process of this name.
    pub fn new(node: Node) -> Self {
        Self {
            node,
            max_running: None,
            queue_limit: DEFAULT_QUEUE_LIMIT,
            max_recoveries: DEFAULT_MAX_RECOVERIES,
            lease: DEFAULT_LEASE,
            clock: Arc::new(SystemClock),
            secrets: Secrets::default(),
        }
    }

    /// The settings of the operator of a node.
    pub(in crate::engine) fn of(config: &EngineConfig) -> Self {
        Self {
            node: config.node.clone(),
            max_running: config.max_running,
            queue_limit: config.queue_limit,
            max_recoveries: config.max_recoveries,
            lease: config.lease,
            clock: Arc::clone(&config.clock),
            secrets: config.secrets.clone(),
        }
    }
}

/// The options of a launch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchOptions {
    /// Run every step from the start.
    pub force: bool,
    /// Launch a new run: an instance of its own, with the parameter [`RUN_PARAMETER`](crate::job::RUN_PARAMETER), one
    /// more than the greatest of the job's.
    pub new_run: bool,
    /// A caller's key: the same launch within 24 hours answers the same execution.
    pub idempotency_key: Option<String>,
    /// Rank in the queue: higher ones go first; `None` for what the job says.
    pub priority: Option<i32>,
    /// Go on also where the definition of the job has changed in what the past of the instance depends on.
    pub accept_changes: bool,
    /// The span of the caller: the execution's is its child where traces are exported.
    pub trace_parent: Option<TraceParent>,
}

/// The node that takes an execution at its launch, and how long its lease lasts; without one it waits in the queue.
pub(in crate::engine) type Claim = Option<(Node, Duration)>;
