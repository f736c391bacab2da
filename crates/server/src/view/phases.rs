//! The shares of a chunk step's time, and the time that is left of an execution.

use oxbatch_core::engine::Forecast;
use oxbatch_core::execution::PhaseShares;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The shares of the time that the phases of a chunk step are busy; they add up to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PhaseShares)]
pub struct PhaseSharesView {
    /// Of the reader.
    #[schema(minimum = 0, maximum = 1)]
    pub read: f64,
    /// Of several processors the mean.
    #[schema(minimum = 0, maximum = 1)]
    pub process: f64,
    /// Of the writer.
    #[schema(minimum = 0, maximum = 1)]
    pub write: f64,
    /// Files forced to the disk, and the commit.
    #[schema(minimum = 0, maximum = 1)]
    pub commit: f64,
    /// The phase that takes most, in a sentence.
    #[schema(example = "writing takes 71 % of the time")]
    pub bottleneck: String,
}

impl From<PhaseShares> for PhaseSharesView {
    fn from(shares: PhaseShares) -> Self {
        let PhaseShares { read, process, write, commit } = shares;
        Self { read, process, write, commit, bottleneck: shares.sentence() }
    }
}

impl From<&PhaseSharesView> for PhaseShares {
    fn from(view: &PhaseSharesView) -> Self {
        Self { read: view.read, process: view.process, write: view.write, commit: view.commit }
    }
}

/// The time that is left of an execution that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Forecast)]
pub struct ForecastView {
    /// Seconds that are left at least.
    #[schema(minimum = 0)]
    pub low: f64,
    /// Seconds that are left at most.
    #[schema(minimum = 0)]
    pub high: f64,
    /// The number of recent runs that say so: from the tenth to the ninetieth percentile of their durations. Null when
    /// it is forecast from the share of the input that is done.
    #[schema(minimum = 3, required)]
    pub runs: Option<usize>,
}

impl From<Forecast> for ForecastView {
    fn from(Forecast { low, high, runs }: Forecast) -> Self {
        Self { low: low.as_secs_f64(), high: high.as_secs_f64(), runs }
    }
}
