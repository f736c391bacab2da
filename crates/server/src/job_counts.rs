//! The numbers of executions of jobs by status: counted for each answer while they are few, and of a long history now
//! and then, beside the answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oxbatch_core::repository::{JobRepository, RepositoryError, StatusCounts};
use tokio::sync::Mutex as Turn;

/// Fewer executions are counted for each answer, however busy the machine is.
const FEW: i64 = 50_000;
/// Counting takes at most one part in so many of the time of a processor.
const PAUSES: u32 = 30;
/// Counts that are older are waited for.
const MOST_AGE: Duration = Duration::from_secs(60);

/// The counts of all jobs.
#[derive(Debug, Default)]
pub(crate) struct JobCounts {
    jobs: Mutex<HashMap<String, Arc<OfJob>>>,
}

/// The counts of a job.
#[derive(Debug, Default)]
struct OfJob {
    kept: Mutex<Option<Kept>>,
    /// Held by whoever counts: others take what is kept, or wait for what is counted.
    turn: Turn<()>,
}

#[derive(Debug, Clone)]
struct Kept {
    counts: StatusCounts,
    counted: Instant,
    /// The time that it took to count.
    took: Duration,
}

/// The use of counts that are kept.
#[derive(Debug, PartialEq, Eq)]
enum Use {
    /// As they are.
    Fresh,
    /// As they are, while others are counted.
    Stale,
    /// None: they are counted first.
    Count,
}

/// The use of counts of an age, by the number of executions and the time that it took to count them.
fn use_of(age: Duration, executions: i64, took: Duration) -> Use {
    if executions < FEW || age > MOST_AGE {
        Use::Count
    } else if age <= took * PAUSES {
        Use::Fresh
    } else {
        Use::Stale
    }
}

impl JobCounts {
    /// The counts of a job: as they are now, or, where it takes long to count, as they were up to a minute ago.
    pub(crate) async fn of(
        &self,
        repository: &Arc<dyn JobRepository>,
        job: &str,
    ) -> Result<StatusCounts, RepositoryError> {
        let of_job = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(jobs.entry(job.to_owned()).or_default())
        };
        let Some(kept) = of_job.kept() else { return of_job.count(repository.as_ref(), job, Instant::now()).await };
        let executions = kept.counts.iter().map(|(_, count)| count).sum();
        match use_of(kept.counted.elapsed(), executions, kept.took) {
            Use::Fresh => Ok(kept.counts),
            Use::Count => of_job.count(repository.as_ref(), job, Instant::now()).await,
            Use::Stale => {
                let (repository, job) = (Arc::clone(repository), job.to_owned());
                tokio::spawn(async move {
                    // Somebody counts already.
                    let Ok(_turn) = of_job.turn.try_lock() else { return };
                    // One that fails is counted again by the next answer, which reports it.
                    let _ = of_job.count_now(repository.as_ref(), &job).await;
                });
                Ok(kept.counts)
            }
        }
    }
}

impl OfJob {
    fn kept(&self) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts, one caller at a time; whoever has waited takes what was counted since it `asked`.
    async fn count(
        &self,
        repository: &dyn JobRepository,
        job: &str,
        asked: Instant,
    ) -> Result<StatusCounts, RepositoryError> {
        let _turn = self.turn.lock().await;
        match self.kept() {
            Some(kept) if kept.counted >= asked => Ok(kept.counts),
            _ => self.count_now(repository, job).await,
        }
    }

    async fn count_now(&self, repository: &dyn JobRepository, job: &str) -> Result<StatusCounts, RepositoryError> {
        // What happens while it is counted may be in it or not: it is as old as its begin.
        let counted = Instant::now();
        let counts = repository.job_counts(job).await?;
        let kept = Kept { counts: counts.clone(), counted, took: counted.elapsed() };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_counted_each_time_and_many_now_and_then() {
        let millis = Duration::from_millis;
        for (age, executions, took, expected) in [
            (0, FEW - 1, 1_000, Use::Count),
            (0, FEW, 10, Use::Fresh),
            (3_000, FEW, 100, Use::Fresh),
            (3_001, FEW, 100, Use::Stale),
            (60_000, FEW, 100, Use::Stale),
            (60_001, FEW, 100, Use::Count),
            (60_001, FEW, 10_000, Use::Count),
        ] {
            assert_eq!(use_of(millis(age), executions, millis(took)), expected, "{age} {executions} {took}");
        }
    }
}
