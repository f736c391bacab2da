//! The polls of the streams of all events: streams that stand at the same place take one answer of the repository.
//!
//! Each stream would ask twice a second; with many of them that is most of what they cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oxbatch_core::StepExecution;
use oxbatch_core::repository::{Changes, JobRepository, RepositoryError};
use tokio::sync::Mutex;

/// The age up to which an answer serves a stream that no notification has woken.
pub(crate) const SHARED_FOR: Duration = Duration::from_millis(250);

/// The newest answers.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    changes: Mutex<Option<Answer>>,
    steps: Mutex<Option<(Instant, Arc<Vec<StepExecution>>)>>,
}

/// The changes behind a position.
#[derive(Debug)]
struct Answer {
    asked: Instant,
    from: String,
    changes: Arc<Changes>,
}

/// Changes, and whether they were asked for as late as a stream wants them.
pub(crate) struct Polled {
    pub(crate) changes: Arc<Changes>,
    pub(crate) is_fresh: bool,
}

impl Polls {
    /// The changes behind the position of a stream that has all before it, asked for at `since` or later; older ones,
    /// which lead it on to where the others are, are not fresh.
    pub(crate) async fn changes(
        &self,
        repository: &dyn JobRepository,
        position: &str,
        since: Instant,
        limit: u32,
    ) -> Result<Polled, RepositoryError> {
        let mut answer = self.changes.lock().await;
        if let Some(known) = answer.as_ref()
            && known.from == position
        {
            let is_fresh = known.asked >= since;
            // An older one that leads nowhere is asked for anew.
            if is_fresh || known.changes.position != position {
                return Ok(Polled { changes: Arc::clone(&known.changes), is_fresh });
            }
        }
        let is_next = answer.as_ref().is_none_or(|known| known.changes.position == position);
        let asked = Instant::now();
        // One that stands elsewhere keeps nobody waiting.
        if !is_next {
            drop(answer);
            let mut changes = repository.changes(Some(position), limit).await?;
            if !changes.more {
                self.lead_back(&mut changes, asked).await;
            }
            return Ok(Polled { changes: Arc::new(changes), is_fresh: true });
        }
        let changes = Arc::new(repository.changes(Some(position), limit).await?);
        *answer = Some(Answer { asked, from: position.to_owned(), changes: Arc::clone(&changes) });
        Ok(Polled { changes, is_fresh: true })
    }

    /// Leads a stream to the position of the others: it is that of an earlier question, so that nothing is missed from
    /// there on, and some of it is reported again.
    async fn lead_back(&self, changes: &mut Changes, asked: Instant) {
        let answer = self.changes.lock().await;
        if let Some(known) = answer.as_ref().filter(|known| known.asked < asked && !known.changes.more) {
            changes.position.clone_from(&known.changes.position);
        }
    }

    /// The steps that run, asked for at `since` or later.
    pub(crate) async fn steps(
        &self,
        repository: &dyn JobRepository,
        since: Instant,
        limit: u32,
    ) -> Result<Arc<Vec<StepExecution>>, RepositoryError> {
        let mut answer = self.steps.lock().await;
        if let Some((_, steps)) = answer.as_ref().filter(|(asked, _)| *asked >= since) {
            return Ok(Arc::clone(steps));
        }
        let asked = Instant::now();
        let steps = Arc::new(repository.running_steps(limit).await?);
        *answer = Some((asked, Arc::clone(&steps)));
        Ok(steps)
    }
}
