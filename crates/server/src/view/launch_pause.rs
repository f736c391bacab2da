//! Pauses of launches.

use oxbatch_core::repository::LaunchPause;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::time;

/// A pause of launches as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLaunchPause)]
pub struct LaunchPauseInput {
    /// The reason, for those who find it paused.
    pub reason: String,
}

/// A pause of launches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LaunchPause)]
pub struct LaunchPauseView {
    /// The job; null for all.
    #[schema(required)]
    pub job: Option<String>,
    /// The reason.
    pub reason: String,
    /// The moment at which it began.
    #[schema(format = DateTime)]
    pub since: String,
}

impl From<LaunchPause> for LaunchPauseView {
    fn from(pause: LaunchPause) -> Self {
        Self { job: pause.job_name, reason: pause.reason, since: time(pause.since) }
    }
}
