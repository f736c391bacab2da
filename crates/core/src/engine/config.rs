//! The settings of a node.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Clock, SystemClock};
use crate::event::EventConsumer;
use crate::listener::ListenerFactory;
use crate::log::DEFAULT_MAX_LOG_BYTES;
use crate::notice::NoticeSender;
use crate::repository::{Node, RecoverPolicy};
use crate::secret::Secrets;

/// Executions that run at once on a node.
pub const DEFAULT_CONCURRENCY: usize = 8;
/// Launches that may wait for a slot.
pub const DEFAULT_QUEUE_LIMIT: u32 = 1_000;
/// The time that an execution stays with a node that does not answer.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);
/// The time that a stop lets a step go on to a safe point before its work is dropped.
pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(30);
/// The time that a shutdown lets steps go on to a safe point.
pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// Most time between two heartbeats; a short lease makes it shorter.
pub const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(5);
/// Automatic recoveries in a row without a committed chunk between them.
pub const DEFAULT_MAX_RECOVERIES: i64 = 3;

/// The number of renewals of a lease before it would run out.
const RENEWALS_IN_A_LEASE: u32 = 6;

/// The settings of a node. Everything but the node has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The name and id of the node.
    pub node: Node,
    /// Executions that run at once. [`DEFAULT_CONCURRENCY`]
    pub concurrency: usize,
    /// Executions that run at once on all nodes together; `None` for any number. Nodes that are reported different
    /// numbers each keep to their own.
    pub max_running: Option<u32>,
    /// Launches that may wait; one more is refused. [`DEFAULT_QUEUE_LIMIT`]
    pub queue_limit: u32,
    /// The time that a lease lasts without renewal. [`DEFAULT_LEASE`]
    pub lease: Duration,
    /// Time between renewals, which also bring stop requests of other processes.
    pub renew_every: Duration,
    /// Most time between two heartbeats, which also bring requests to drain. [`DEFAULT_HEARTBEAT`]
    pub heartbeat_every: Duration,
    /// Time between searches for work and for dead owners; launches of this node are seen at once.
    pub poll_every: Duration,
    /// The time that a stop waits for a safe point. [`DEFAULT_STOP_GRACE`]
    pub stop_grace: Duration,
    /// The time that a shutdown waits for a safe point. [`DEFAULT_SHUTDOWN_TIMEOUT`]
    pub shutdown_timeout: Duration,
    /// The policy for executions whose owner died.
    pub recover: RecoverPolicy,
    /// Recoveries in a row without progress. [`DEFAULT_MAX_RECOVERIES`]
    pub max_recoveries: i64,
    /// The time that ended executions are kept; `None` for ever. Give all nodes of a store the same: the one that
    /// started first removes what is older, and never the last execution of an instance that could still be restarted.
    pub retention: Option<Duration>,
    /// Most bytes that are kept of the log of an execution, compressed. [`DEFAULT_MAX_LOG_BYTES`]
    pub max_log_bytes: u64,
    /// `true` if the node takes waiting executions and recovers; without, it runs only what it launches to run here.
    pub take_work: bool,
    /// Version of the program, shown with the node.
    pub version: String,
    /// The clock of the times that are shown.
    pub clock: Arc<dyn Clock>,
    /// The keys that encrypt secret parameters, and the folder of named secrets.
    pub secrets: Secrets,
    /// The consumers of events.
    pub consumers: Vec<Arc<dyn EventConsumer>>,
    /// The sender of notices of failures and of late and missed fires; without one this node delivers none.
    pub notices: Option<Arc<dyn NoticeSender>>,
    /// Listeners of all jobs, each set built for an execution.
    pub listeners: Vec<ListenerFactory>,
}

impl EngineConfig {
    /// The defaults for a node.
    pub fn new(node: Node) -> Self {
        Self {
            node,
            concurrency: DEFAULT_CONCURRENCY,
            max_running: None,
            queue_limit: DEFAULT_QUEUE_LIMIT,
            lease: DEFAULT_LEASE,
            renew_every: Duration::from_secs(1),
            heartbeat_every: DEFAULT_HEARTBEAT,
            poll_every: Duration::from_secs(1),
            stop_grace: DEFAULT_STOP_GRACE,
            shutdown_timeout: DEFAULT_SHUTDOWN_TIMEOUT,
            recover: RecoverPolicy::default(),
            max_recoveries: DEFAULT_MAX_RECOVERIES,
            retention: None,
            max_log_bytes: DEFAULT_MAX_LOG_BYTES,
            take_work: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clock: Arc::new(SystemClock),
            secrets: Secrets::default(),
            consumers: Vec::new(),
            notices: None,
            listeners: Vec::new(),
        }
    }

    /// Sets how long a lease lasts, and renews it often enough that a missed renewal loses nothing.
    pub fn set_lease(&mut self, lease: Duration) {
        self.lease = lease;
        self.renew_every = self.renew_every.min(lease / RENEWALS_IN_A_LEASE);
        self.heartbeat_every = self.heartbeat_every.min(lease / RENEWALS_IN_A_LEASE);
    }
}

impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig").field("node", &self.node).finish_non_exhaustive()
    }
}
