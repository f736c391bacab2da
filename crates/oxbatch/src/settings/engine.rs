//! The node: `OXBATCH_NODE_NAME`, `OXBATCH_CONCURRENCY`, `OXBATCH_MAX_RUNNING`, `OXBATCH_QUEUE_LIMIT`,
//! `OXBATCH_RECOVER`, `OXBATCH_LEASE`, `OXBATCH_RETENTION`, `OXBATCH_SHUTDOWN_TIMEOUT`.

use std::time::Duration;

use oxbatch_core::EngineConfig;
use oxbatch_core::engine::OperatorConfig;
use oxbatch_core::repository::{Node, RecoverPolicy};

use super::{Setting, SettingError, Sources, logging, parse_count};
use crate::cli::{GlobalArgs, ServeArgs};
use crate::duration::parse_duration;

/// Longest name of a node in characters.
const MAX_NODE_NAME: usize = 100;

/// Shortest lease.
const MIN_LEASE: Duration = Duration::from_secs(1);

/// Name of the node.
pub(crate) const NODE_NAME: Setting = Setting {
    flag: "--node-name",
    variable: "OXBATCH_NODE_NAME",
    key: "engine.node_name",
    text: "Name of this node, shown with the executions that it runs",
    default: "the host's name",
};

/// Executions at once.
pub(crate) const CONCURRENCY: Setting = Setting {
    flag: "--concurrency",
    variable: "OXBATCH_CONCURRENCY",
    key: "engine.concurrency",
    text: "Executions that run at once",
    default: "8",
};

/// Executions at once on all nodes.
pub(crate) const MAX_RUNNING: Setting = Setting {
    flag: "--max-running",
    variable: "OXBATCH_MAX_RUNNING",
    key: "engine.max_running",
    text: "Executions that run at once on all nodes together; the same on each node",
    default: "any number",
};

/// The time that a silent node keeps its executions.
pub(crate) const LEASE: Setting = Setting {
    flag: "--lease",
    variable: "OXBATCH_LEASE",
    key: "engine.lease",
    text: "Time after which the executions of a silent node are recovered, at least 1s",
    default: "30s",
};

/// Launches that wait.
pub(crate) const QUEUE_LIMIT: Setting = Setting {
    flag: "--queue-limit",
    variable: "OXBATCH_QUEUE_LIMIT",
    key: "engine.queue_limit",
    text: "Launches that may wait, at least 1; one more is refused",
    default: "1000",
};

/// The policy for executions whose process died.
pub(crate) const RECOVER: Setting = Setting {
    flag: "--recover",
    variable: "OXBATCH_RECOVER",
    key: "engine.recover",
    text: "Policy for executions whose process died: restart or fail",
    default: "restart",
};

/// Bound of a shutdown.
pub(crate) const SHUTDOWN_TIMEOUT: Setting = Setting {
    flag: "--shutdown-timeout",
    variable: "OXBATCH_SHUTDOWN_TIMEOUT",
    key: "engine.shutdown_timeout",
    text: "Longest time for running steps to reach a safe point at a shutdown",
    default: "30s",
};

/// Age at which ended executions are removed.
pub(crate) const RETENTION: Setting = Setting {
    flag: "--retention",
    variable: "OXBATCH_RETENTION",
    key: "engine.retention",
    text: "Age at which the service removes ended executions, such as 30d",
    default: "for ever",
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 8] =
    [NODE_NAME, CONCURRENCY, MAX_RUNNING, QUEUE_LIMIT, RECOVER, LEASE, SHUTDOWN_TIMEOUT, RETENTION];

/// The section `engine`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineSettings {
    /// Name of the node.
    pub(crate) node_name: String,
    /// Executions at once; `None` for the engine's default, and so are the others.
    pub(crate) concurrency: Option<usize>,
    /// Executions at once on all nodes.
    pub(crate) max_running: Option<u32>,
    /// The time that a silent node keeps its executions.
    pub(crate) lease: Option<Duration>,
    /// Launches that may wait.
    pub(crate) queue_limit: Option<u32>,
    /// The policy for executions whose process died.
    pub(crate) recover: Option<RecoverPolicy>,
    /// Bound of a shutdown.
    pub(crate) shutdown_timeout: Option<Duration>,
    /// Age at which ended executions are removed.
    pub(crate) retention: Option<Duration>,
    /// Most bytes that are kept of the log of an execution.
    pub(crate) max_log_bytes: Option<u64>,
}

impl EngineSettings {
    /// Resolves the section, for the service with its flags.
    pub(crate) fn resolve(
        globals: &GlobalArgs,
        serve: Option<&ServeArgs>,
        sources: &Sources,
    ) -> Result<Self, SettingError> {
        let flag = |flag: fn(&ServeArgs) -> &Option<String>| serve.and_then(|serve| flag(serve).as_deref());
        Ok(Self {
            node_name: sources
                .read(&NODE_NAME, globals.node_name.as_deref(), parse_node_name)?
                .unwrap_or_else(host_name),
            concurrency: sources.read(&CONCURRENCY, flag(|serve| &serve.concurrency), |text| parse_count(text, 1))?,
            max_running: sources.read(&MAX_RUNNING, flag(|serve| &serve.max_running), |text| parse_count(text, 1))?,
            lease: sources.read(&LEASE, flag(|serve| &serve.lease), parse_lease)?,
            queue_limit: sources.read(&QUEUE_LIMIT, flag(|serve| &serve.queue_limit), |text| parse_count(text, 1))?,
            recover: sources.read(&RECOVER, flag(|serve| &serve.recover), parse_recover)?,
            shutdown_timeout: sources.read(&SHUTDOWN_TIMEOUT, flag(|serve| &serve.shutdown_timeout), parse_duration)?,
            retention: sources.read(&RETENTION, flag(|serve| &serve.retention), parse_retention)?,
            max_log_bytes: logging::max_per_execution(serve, sources)?,
        })
    }

    /// The configuration of an operator where no node runs.
    pub(crate) fn operator(&self) -> OperatorConfig {
        let mut config = OperatorConfig::new(Node::new(self.node_name.clone()));
        config.max_running = self.max_running;
        config.queue_limit = self.queue_limit.unwrap_or(config.queue_limit);
        config
    }

    /// The configuration of the engine.
    pub(crate) fn config(&self) -> EngineConfig {
        let mut config = EngineConfig::new(Node::new(self.node_name.clone()));
        config.concurrency = self.concurrency.unwrap_or(config.concurrency);
        config.max_running = self.max_running;
        if let Some(lease) = self.lease {
            config.set_lease(lease);
        }
        config.queue_limit = self.queue_limit.unwrap_or(config.queue_limit);
        config.recover = self.recover.unwrap_or(config.recover);
        config.shutdown_timeout = self.shutdown_timeout.unwrap_or(config.shutdown_timeout);
        config.retention = self.retention;
        config.max_log_bytes = self.max_log_bytes.unwrap_or(config.max_log_bytes);
        config
    }
}

fn parse_retention(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    match time.is_zero() {
        false => Ok(time),
        true => Err(format!("'{text}' would remove each execution at its end; leave the setting out to keep all")),
    }
}

fn parse_lease(text: &str) -> Result<Duration, String> {
    let lease = parse_duration(text)?;
    match lease >= MIN_LEASE {
        true => Ok(lease),
        false => Err(format!("'{text}' is shorter than 1s: a node that is merely busy would lose its executions")),
    }
}

fn parse_recover(text: &str) -> Result<RecoverPolicy, String> {
    match text {
        "restart" => Ok(RecoverPolicy::Restart),
        "fail" => Ok(RecoverPolicy::Fail),
        _ => Err(format!("'{text}' is neither restart nor fail")),
    }
}

fn parse_node_name(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_NODE_NAME).contains(&text.chars().count());
    if fits && text.trim() == text && !text.contains(|c: char| c == '/' || c.is_control()) {
        return Ok(text.to_owned());
    }
    Err(format!("'{text}' must have 1 to {MAX_NODE_NAME} characters, none of them a slash or a control character"))
}

/// The host's name as far as it can be known without asking the system in unsafe ways.
fn host_name() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let from_file = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let from_environment = ["HOSTNAME", "COMPUTERNAME"].iter().filter_map(|name| std::env::var(name).ok());
    let mut names = from_file.chain(from_environment).filter_map(|name| parse_node_name(name.trim()).ok());
    names.next().unwrap_or_else(|| "node".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxbatch_core::engine::{DEFAULT_CONCURRENCY, DEFAULT_LEASE, DEFAULT_QUEUE_LIMIT, DEFAULT_SHUTDOWN_TIMEOUT};

    #[test]
    fn the_defaults_in_the_help_are_the_engine_s() {
        assert_eq!(parse_count(CONCURRENCY.default, 1), Ok(DEFAULT_CONCURRENCY));
        assert_eq!(parse_count(QUEUE_LIMIT.default, 1), Ok(DEFAULT_QUEUE_LIMIT));
        assert_eq!(parse_duration(SHUTDOWN_TIMEOUT.default), Ok(DEFAULT_SHUTDOWN_TIMEOUT));
        assert_eq!(parse_lease(LEASE.default), Ok(DEFAULT_LEASE));
        assert!(parse_lease("999ms").is_err());
        assert!(parse_retention("30d").is_ok() && parse_retention("0s").is_err());
        assert_eq!(parse_recover(RECOVER.default), Ok(RecoverPolicy::default()));
    }

    #[test]
    fn a_node_has_a_name_on_every_machine() {
        assert!(parse_node_name(&host_name()).is_ok());
        assert!(parse_node_name("a/b").is_err() && parse_node_name("").is_err());
    }
}
