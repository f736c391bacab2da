//! Row 10: launch, list and detail with a million executions in the repository, against a thousand.

mod fill;
mod store;

use std::time::Instant;

use oxbatch_core::execution::{ExecutionId, InstanceId, Status};
use oxbatch_core::repository::{ExecutionFilter, InstanceFilter, PageRequest};

pub(crate) use self::store::Store;
use super::server;
use crate::BoxError;
use crate::measure::median;

/// Executions of the small repository; of the large one when the command line does not say otherwise.
const FEW: i64 = 1_000;
const MANY: i64 = 1_000_000;
/// Most time with many, as a multiple of the time with few.
const GOAL: f64 = 1.2;
/// Rows of a page: so few that the small repository fills it for each filter.
const PAGE: u32 = 20;

/// A question to a repository.
#[derive(Debug, Clone, Copy)]
enum Question {
    Launch,
    Page,
    MiddlePage,
    PageOfStatus,
    PageOfJob,
    PageOfJobAndStatus,
    PageOfNewest,
    PageOfNewestOfJob,
    PageUpToNewest,
    PageOfPast,
    PageUpToPast,
    Instances,
    Detail,
    Jobs,
}

impl Question {
    const ALL: [Self; 14] = [
        Self::Launch,
        Self::Page,
        Self::MiddlePage,
        Self::PageOfStatus,
        Self::PageOfJob,
        Self::PageOfJobAndStatus,
        Self::PageOfNewest,
        Self::PageOfNewestOfJob,
        Self::PageUpToNewest,
        Self::PageOfPast,
        Self::PageUpToPast,
        Self::Instances,
        Self::Detail,
        Self::Jobs,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Launch => "a launch run to its end",
            Self::Page => "first page",
            Self::MiddlePage => "page in the middle",
            Self::PageOfStatus => "page of a status",
            Self::PageOfJob => "page of a job",
            Self::PageOfJobAndStatus => "page of a job and a status",
            Self::PageOfNewest => "page from a late time on",
            Self::PageOfNewestOfJob => "page of a job from a late time on",
            Self::PageUpToNewest => "page up to a late time",
            Self::PageOfPast => "page of a time span in the past",
            Self::PageUpToPast => "page up to a time in the past",
            Self::Instances => "page of instances of a job",
            Self::Detail => "detail with steps and parameters",
            Self::Jobs => "counts of the jobs",
        }
    }

    /// Number of times that it is asked in a round.
    const fn calls(self) -> u32 {
        match self {
            Self::Launch => 15,
            Self::Jobs => 3,
            _ => 60,
        }
    }

    /// Asks once. `turn` spreads what is asked for over the history, the same way in both repositories.
    async fn ask(self, store: &Store, turn: i64) -> Result<(), BoxError> {
        let repository = store.engine.repository();
        let (id, late) = (store.spread(turn), store.time(store.size - 100)?);
        let filter = match self {
            Self::Launch => return store.launch(turn).await,
            Self::Page | Self::MiddlePage => ExecutionFilter::default(),
            Self::PageOfStatus => ExecutionFilter { statuses: vec![Status::Failed], ..Default::default() },
            Self::PageOfJob => ExecutionFilter { job_name: Some(fill::job_name(turn)), ..Default::default() },
            Self::PageOfJobAndStatus => ExecutionFilter {
                job_name: Some(fill::job_name(0)),
                statuses: vec![Status::Failed],
                ..Default::default()
            },
            Self::PageOfNewest => ExecutionFilter { from: Some(late), ..Default::default() },
            Self::PageOfNewestOfJob => {
                ExecutionFilter { job_name: Some(fill::job_name(turn)), from: Some(late), ..Default::default() }
            }
            Self::PageUpToNewest => ExecutionFilter { to: Some(late), ..Default::default() },
            Self::PageOfPast => {
                ExecutionFilter { from: Some(store.time(id - 100)?), to: Some(store.time(id)?), ..Default::default() }
            }
            Self::PageUpToPast => ExecutionFilter { to: Some(store.time(id)?), ..Default::default() },
            Self::Instances => {
                let filter = InstanceFilter { job_name: Some(fill::job_name(turn)) };
                let page = repository.instances(filter, PageRequest { before: Some(id), limit: PAGE }).await?;
                return full(page.instances.len());
            }
            Self::Detail => {
                let execution = repository.execution(ExecutionId(id)).await?.ok_or("an execution is missing")?;
                let steps = repository.steps(execution.id).await?;
                let parameters = repository.instance_parameters(execution.instance_id).await?;
                let instance = repository.instance(InstanceId(execution.instance_id.0)).await?;
                return match (steps.len(), parameters.len(), instance) {
                    (2, 2, Some(_)) => Ok(()),
                    found => Err(format!("execution {id} is not whole: {found:?}").into()),
                };
            }
            Self::Jobs => {
                for number in 0..fill::JOBS {
                    repository.job_counts(&fill::job_name(number)).await?;
                }
                return Ok(());
            }
        };
        let before = matches!(self, Self::MiddlePage).then_some(id);
        let page = repository.executions(filter, PageRequest { before, limit: PAGE }).await?;
        full(page.executions.len())
    }
}

/// A page that is not full would be measured too fast.
fn full(rows: usize) -> Result<(), BoxError> {
    if rows == PAGE as usize { Ok(()) } else { Err(format!("{rows} rows are no whole page").into()) }
}

/// Measures both kinds of repository, `rounds` times in turn; PostgreSQL where a server is named.
pub(crate) fn measure(rounds: usize, many: Option<u64>) -> Result<(), BoxError> {
    let many = many.map_or(Ok(MANY), i64::try_from)?;
    if many < FEW {
        return Err(format!("row 10 compares with {FEW} executions: --rows must be as many at least").into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    println!("\nrow 10: {many} executions against {FEW}, pages of {PAGE}, {rounds} rounds in turn; times are medians");
    let folder = tempfile::tempdir()?;
    println!("  SQLite");
    runtime.block_on(async {
        let few = Store::sqlite(&folder.path().join("few.db"), FEW).await?;
        compare(few, Store::sqlite(&folder.path().join("many.db"), many).await?, rounds).await
    })?;
    let Ok(url) = server::url() else {
        println!("  PostgreSQL is left out: it needs scripts/postgres run …");
        return Ok(());
    };
    println!("  PostgreSQL");
    runtime.block_on(async {
        let few = Store::postgres(&url, "oxbatch_few", FEW).await?;
        compare(few, Store::postgres(&url, "oxbatch_many", many).await?, rounds).await
    })
}

async fn compare(few: Store, many: Store, rounds: usize) -> Result<(), BoxError> {
    for question in Question::ALL {
        let mut times = [Vec::new(), Vec::new()];
        // One round more, first, that is not counted.
        for round in 0..=rounds {
            let mut calls = [Vec::new(), Vec::new()];
            for call in 0..question.calls() {
                let turn = 1 + i64::try_from(round)? * i64::from(question.calls()) + i64::from(call);
                for (calls, store) in calls.iter_mut().zip([&few, &many]) {
                    let start = Instant::now();
                    question.ask(store, turn).await.map_err(|fault| format!("{}: {fault}", question.name()))?;
                    calls.push(start.elapsed().as_secs_f64() * 1e6);
                }
            }
            if round > 0 {
                for (times, calls) in times.iter_mut().zip(calls) {
                    times.push(median(calls.into_iter()));
                }
            }
        }
        let [few, many] = times;
        let ratios: Vec<f64> = few.iter().zip(&many).map(|(few, many)| many / few).collect();
        let (low, high) =
            ratios.iter().fold((f64::MAX, f64::MIN), |(low, high), &ratio| (low.min(ratio), high.max(ratio)));
        let ratio = median(ratios.into_iter());
        println!(
            "    {:<35} {:>8.0} µs and {:>8.0} µs, ratio {ratio:.2} ({low:.2}–{high:.2}), at most {GOAL:.2}: {}",
            question.name(),
            median(few.into_iter()),
            median(many.into_iter()),
            if ratio <= GOAL { "reached" } else { "MISSED" }
        );
    }
    few.close().await?;
    many.close().await
}
