//! The handlers of the interface, a file per resource; the shapes of their answers are in `view`.

pub(crate) mod all_events;
pub(crate) mod audit;
pub(crate) mod backfills;
pub(crate) mod bulk;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod fires;
pub(crate) mod graph;
pub(crate) mod health;
pub(crate) mod instances;
pub(crate) mod jobs;
pub(crate) mod launch;
pub(crate) mod launch_pauses;
pub(crate) mod login;
pub(crate) mod logs;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
pub(crate) mod nodes;
pub(crate) mod notices;
pub(crate) mod operate;
mod page;
pub(crate) mod parameters_schema;
pub(crate) mod preview;
pub(crate) mod rerun;
pub(crate) mod restart;
pub(crate) mod schedules;
pub(crate) mod skips;
pub(crate) mod steps;
