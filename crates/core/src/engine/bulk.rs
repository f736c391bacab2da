//! Bulk work: planned, begun, watched, cancelled, and done by one node after the other where it was left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::operator::Operator;
use super::refusal::OperatorError;
use super::state::EngineState;
use crate::execution::{ExecutionId, JobExecution};
use crate::repository::rules::bulk::judge;
use crate::repository::{
    BegunBulk, Bulk, BulkAction, BulkId, BulkOutcome, BulkPage, BulkResult, ExecutionFilter, FoundCount, LaunchError,
    MAX_CHOSEN, NewBulk, PageRequest,
};

/// Executions that a plan counts; of a bulk with more it says so.
pub const MAX_PLANNED_BULK: usize = 10_000;
/// Executions that a plan counts at once.
const COUNTED_AT_ONCE: usize = 500;
/// Pages with too few executions, as only a search has them, that a plan looks at.
const MAX_SEARCHED_PAGES: u32 = 2;
/// Executions that are acted on before the bulk is taken anew.
const BATCH: u32 = 20;
/// Pause when the queue is full, or the store has failed.
const BACK_OFF: Duration = Duration::from_secs(2);

/// The plan of a bulk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkPlan {
    /// Executions that the filter finds.
    pub found: usize,
    /// Those that the action is done on.
    pub acted_on: usize,
    /// The others, by the reason why they are left out.
    pub left_out: BTreeMap<String, usize>,
    /// `true` if there are more than were counted: than [`MAX_PLANNED_BULK`], than a search looked at, or than were
    /// counted before the time was over.
    pub has_more: bool,
}

impl BulkPlan {
    /// Adds a page, and returns how many executions it has.
    fn count(&mut self, action: BulkAction, page: Vec<FoundCount>) -> usize {
        let before = self.found;
        for FoundCount { status, later, count } in page {
            self.found += count;
            match judge(action, status, later) {
                Ok(()) => self.acted_on += count,
                Err(reason) => *self.left_out.entry(reason.kind()).or_default() += count,
            }
        }
        self.found - before
    }
}

/// The outcome of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    /// There is nothing to do.
    Idle,
    /// There may be more to do.
    Worked,
    /// The queue is full.
    Waits,
}

/// The effect of an action on an execution.
enum Acted {
    Recorded(BulkResult),
    QueueFull,
}

impl Operator {
    /// The plan of a bulk: how many executions it finds, and why which are left out. Nothing is written.
    ///
    /// # Errors
    /// When the filter is empty, or the repository fails.
    pub async fn plan_bulk(&self, action: BulkAction, filter: &ExecutionFilter) -> Result<BulkPlan, OperatorError> {
        self.plan_bulk_within(action, filter, Duration::MAX).await
    }

    /// The same, as far as it can be counted within a time: the newest 500 are counted in any case, and each 500 more
    /// where they would be counted in time if they took as long as those before them.
    ///
    /// # Errors
    /// When the filter is empty, or the repository fails.
    pub async fn plan_bulk_within(
        &self,
        action: BulkAction,
        filter: &ExecutionFilter,
        time: Duration,
    ) -> Result<BulkPlan, OperatorError> {
        check(filter)?;
        let begun = Instant::now();
        let mut plan = BulkPlan { found: 0, acted_on: 0, left_out: BTreeMap::new(), has_more: false };
        let (mut before, mut searched) = (None, 0);
        loop {
            let page_begun = Instant::now();
            let limit = COUNTED_AT_ONCE.min(MAX_PLANNED_BULK - plan.found);
            let page = PageRequest { before, limit: u32::try_from(limit).unwrap_or(u32::MAX) };
            let page = self.repository().count_found(filter.clone(), page).await?;
            let counted = plan.count(action, page.counts);
            searched += u32::from(counted < limit);
            before = page.next;
            plan.has_more = before.is_some();
            let is_full = plan.found >= MAX_PLANNED_BULK || searched >= MAX_SEARCHED_PAGES;
            // Another page is begun where it would end in time, if it took as long as this one.
            let is_over = begun.elapsed().saturating_add(page_begun.elapsed()) > time;
            if !plan.has_more || is_full || is_over {
                return Ok(plan);
            }
        }
    }

    /// Begins a bulk. The nodes do it, one execution after the other; where no node runs, [`Self::work_bulk`] does.
    ///
    /// # Errors
    /// When the filter is empty, or the same bulk is running.
    pub async fn start_bulk(&self, action: BulkAction, filter: ExecutionFilter) -> Result<Bulk, OperatorError> {
        check(&filter)?;
        let new = NewBulk { action, filter, time: self.settings().clock.now() };
        match self.repository().create_bulk(new).await? {
            BegunBulk::Begun(id) => {
                self.wake_bulks();
                self.bulk(id).await
            }
            BegunBulk::Running(id) => Err(OperatorError::BulkRefused {
                problem: format!("bulk {id} does the same and is running: watch it, or cancel it first"),
            }),
        }
    }

    /// The bulk `id`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn bulk(&self, id: BulkId) -> Result<Bulk, OperatorError> {
        let found = self.repository().bulks(Some(id)).await?.into_iter().next();
        found.ok_or(OperatorError::UnknownBulk { id })
    }

    /// All bulks, newest first, at most 500.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn bulks(&self) -> Result<Vec<Bulk>, OperatorError> {
        Ok(self.repository().bulks(None).await?)
    }

    /// The results of a bulk, one page.
    ///
    /// # Errors
    /// When there is none.
    pub async fn bulk_results(&self, id: BulkId, page: PageRequest) -> Result<BulkPage, OperatorError> {
        self.bulk(id).await?;
        Ok(self.repository().bulk_results(id, page).await?)
    }

    /// Cancels a bulk: what it has done stays.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub async fn cancel_bulk(&self, id: BulkId) -> Result<Bulk, OperatorError> {
        let is_cancelled = self.repository().cancel_bulk(id, self.settings().clock.now()).await?;
        let bulk = self.bulk(id).await?;
        if is_cancelled {
            return Ok(bulk);
        }
        Err(OperatorError::BulkRefused { problem: format!("bulk {id} is {} and cannot be cancelled", bulk.state) })
    }

    /// Goes on with the oldest bulk that nobody else works on, for a while: `true` if there may be more to do.
    ///
    /// # Errors
    /// When the repository fails; what was done until then is done, and the next call goes on.
    pub async fn work_bulk(&self) -> Result<bool, OperatorError> {
        match self.bulk_batch().await? {
            Batch::Idle => Ok(false),
            Batch::Worked => Ok(true),
            Batch::Waits => {
                tokio::time::sleep(BACK_OFF).await;
                Ok(true)
            }
        }
    }

    async fn bulk_batch(&self) -> Result<Batch, OperatorError> {
        let owner = self.settings().node.to_string();
        let claimed = self.repository().claim_bulk(owner.clone(), self.settings().lease).await?;
        let Some(bulk) = claimed else { return Ok(Batch::Idle) };
        let mut page = PageRequest { before: Some(bulk.before), limit: BATCH };
        let mut found = self.repository().executions(bulk.filter.clone(), page).await?;
        // A page of a search may be empty although there are more.
        while found.executions.is_empty() && found.next.is_some() && !self.is_closing() {
            page.before = found.next;
            found = self.repository().executions(bulk.filter.clone(), page).await?;
        }
        let is_last = found.next.is_none();
        for execution in found.executions {
            if self.is_closing() {
                return Ok(Batch::Idle);
            }
            let last = self.repository().last_executions(vec![execution.instance_id]).await?.pop().flatten();
            let later = last.filter(|last| *last != execution.id);
            let result = match self.act(bulk.action, &execution, later).await? {
                Acted::Recorded(result) => result,
                Acted::QueueFull => return Ok(Batch::Waits),
            };
            let time = self.settings().clock.now();
            if !self.repository().record_bulk(bulk.id, owner.clone(), Some(result), time).await? {
                return Ok(Batch::Worked);
            }
        }
        if is_last {
            self.repository().record_bulk(bulk.id, owner, None, self.settings().clock.now()).await?;
        }
        Ok(Batch::Worked)
    }

    /// Acts on an execution, or finds out why not.
    ///
    /// # Errors
    /// When it cannot be known whether the action was done, or the node closes.
    async fn act(
        &self,
        action: BulkAction,
        execution: &JobExecution,
        later: Option<ExecutionId>,
    ) -> Result<Acted, OperatorError> {
        let id = execution.id;
        let recorded = |outcome, message, new_execution_id| {
            Ok(Acted::Recorded(BulkResult { execution_id: id, outcome, message, new_execution_id }))
        };
        if let Err(reason) = judge(action, execution.status, later) {
            return recorded(BulkOutcome::LeftOut, Some(reason.to_string()), None);
        }
        let done = match action {
            BulkAction::Restart => self.restart(id).await.map(|launched| Some(launched.execution.id)),
            BulkAction::Stop => self.stop(id).await.map(|_| None),
            BulkAction::Abandon => self.abandon(id).await.map(|_| None),
        };
        match done {
            Ok(new) => recorded(BulkOutcome::Done, None, new),
            Err(OperatorError::Launch(LaunchError::QueueFull { .. })) => Ok(Acted::QueueFull),
            Err(error) if passes(&error) => Err(error),
            Err(error) => recorded(BulkOutcome::LeftOut, Some(error.to_string()), None),
        }
    }
}

/// `true` if the error is none of the execution: it is tried again.
fn passes(error: &OperatorError) -> bool {
    match error {
        OperatorError::ShuttingDown => true,
        OperatorError::Repository(error) | OperatorError::Launch(LaunchError::Repository(error)) => {
            error.is_transient() || error.is_gone()
        }
        _ => false,
    }
}

fn check(filter: &ExecutionFilter) -> Result<(), OperatorError> {
    if *filter == ExecutionFilter::default() {
        let problem = "a bulk needs a filter: without one it would take every execution that there is".to_owned();
        return Err(OperatorError::BulkRefused { problem });
    }
    if filter.ids.len() > MAX_CHOSEN {
        let problem = format!("a bulk may name {MAX_CHOSEN} executions, and not {}", filter.ids.len());
        return Err(OperatorError::BulkRefused { problem });
    }
    Ok(())
}

/// The node's duty to do bulk work, until it closes.
pub(super) async fn keep(state: Arc<EngineState>, operator: Operator) {
    loop {
        let pause = match operator.bulk_batch().await {
            Ok(Batch::Worked) => Duration::ZERO,
            Ok(Batch::Idle) => state.config.poll_every,
            Ok(Batch::Waits) => BACK_OFF,
            Err(OperatorError::Repository(error)) => {
                state.report_trouble("do bulk work", &error);
                BACK_OFF
            }
            Err(_) => BACK_OFF,
        };
        tokio::select! {
            biased;
            () = state.local.closing.cancelled() => return,
            () = state.local.bulks.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
