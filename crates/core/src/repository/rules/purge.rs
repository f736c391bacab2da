//! Retention: which executions of an instance may be removed, and where a purge goes on with its next batch.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::execution::{ExecutionId, InstanceId, Status};
use crate::repository::{PurgeReport, PurgeRequest};

/// The place in the order of their ends at which the next batch of a purge goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgePosition {
    /// The ended execution that was judged last: when it ended, and its id.
    pub last: Option<(Timestamp, ExecutionId)>,
    /// An instance with more executions than fit a batch.
    pub unfinished: Option<UnfinishedInstance>,
    /// For each job the oldest execution that stays because of `keep_per_job`; `None` where all stay.
    pub newest: BTreeMap<String, Option<ExecutionId>>,
}

/// An instance that has more executions than fit a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedInstance {
    /// Its id.
    pub id: InstanceId,
    /// The execution up to which a dry run has counted.
    pub counted_to: ExecutionId,
    /// Executions up to there that go with the last one of the instance, or not at all.
    pub needed: i64,
}

/// An ended execution in the order of their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedExecution {
    /// Its id.
    pub id: ExecutionId,
    /// The time of its end.
    pub end_time: Timestamp,
    /// Its instance.
    pub instance_id: InstanceId,
    /// Its job.
    pub job_name: String,
    /// `true` if no earlier execution of its instance is left: what may go is always a first part of its instance.
    pub is_first: bool,
}

/// The first executions of an instance that a batch judges, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceHistory {
    /// The instance.
    pub id: InstanceId,
    /// Its job.
    pub job_name: String,
    /// Its last execution.
    pub last: ExecutionId,
    /// The execution from which completed steps count for the next launch of the instance.
    pub lineage: ExecutionId,
    /// The executions.
    pub executions: Vec<PastExecution>,
}

/// One execution as a purge sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Its status.
    pub status: Status,
    /// The time of its end.
    pub end_time: Option<Timestamp>,
    /// `true` if one of its steps was not attempted again by a later execution: a resumption looks it up here.
    pub has_newest_step: bool,
    /// The statuses of the last executions of those instances that run its skipped items again.
    pub reruns: Vec<Status>,
}

/// Least executions of an instance that are judged together: more than a job has steps, so that there is always one
/// among them that no step is looked up in, or the last one.
const LEAST_WINDOW: usize = 64;

/// The removal that one batch decides upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge<'a> {
    request: &'a PurgeRequest,
    position: PurgePosition,
    /// Executions that the batch may still judge.
    left: usize,
    /// The ended executions that it has not come to; `None` as long as it has not searched for any.
    ended: Option<VecDeque<EndedExecution>>,
    /// `true` if no ended execution comes after those that it has found.
    found_last: bool,
    /// Executions of an instance that it judges together.
    window: usize,
    /// Executions that are removed.
    pub executions: Vec<ExecutionId>,
    /// Instances of which no execution is left.
    pub instances: Vec<InstanceId>,
    /// Executions of earlier batches of a dry run that turn out to be removable now.
    counted: i64,
}

impl<'a> Purge<'a> {
    /// A batch that goes on where the request says.
    pub fn new(request: &'a PurgeRequest) -> Self {
        let start = PurgePosition { last: None, unfinished: None, newest: BTreeMap::new() };
        let position = request.after.clone().unwrap_or(start);
        let left = request.batch.max(1) as usize;
        let window = left.max(LEAST_WINDOW);
        let (executions, instances) = (Vec::new(), Vec::new());
        Self { request, position, left, ended: None, found_last: false, window, executions, instances, counted: 0 }
    }

    /// Most executions of one instance that it judges together.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Most ended executions that it searches for.
    pub fn batch(&self) -> usize {
        self.request.batch.max(1) as usize
    }

    /// The end before which the batch searches for executions.
    pub fn ended_before(&self) -> Option<Timestamp> {
        self.request.ended_before
    }

    /// Returns whether nothing is removed.
    pub fn is_dry_run(&self) -> bool {
        self.request.dry_run
    }

    /// The end after which the batch searches for executions.
    pub fn after(&self) -> Option<(Timestamp, ExecutionId)> {
        self.position.last
    }

    /// The instance in the middle of which the batch begins, and the execution after which a dry run goes on there.
    pub fn unfinished(&self) -> Option<(InstanceId, Option<ExecutionId>)> {
        let unfinished = self.position.unfinished?;
        Some((unfinished.id, self.request.dry_run.then_some(unfinished.counted_to)))
    }

    /// The number of a job's newest ended executions that stay, where the batch has to ask which those are.
    pub fn asks_newest(&self, job_name: &str) -> Option<u32> {
        self.request.keep_per_job.filter(|keep| *keep > 0 && !self.position.newest.contains_key(job_name))
    }

    /// Notes the oldest execution of a job that stays because of `keep_per_job`; `None` where the job has not that
    /// many.
    pub fn note_newest(&mut self, job_name: &str, oldest_kept: Option<ExecutionId>) {
        self.position.newest.insert(job_name.to_owned(), oldest_kept);
    }

    /// Takes the ended executions that were found, of which there are at most [`batch`](Self::batch).
    pub fn take_ended(&mut self, ended: Vec<EndedExecution>) {
        self.found_last = ended.len() < self.batch();
        self.ended = Some(ended.into());
    }

    /// The instances that the batch may come to: those of which nothing was removed before the ended execution.
    pub fn instances_ahead(&self) -> Vec<InstanceId> {
        let ended = self.ended.iter().flatten();
        ended.filter(|execution| execution.is_first).map(|execution| execution.instance_id).collect()
    }

    /// The next instance whose history is judged; `None` at the end of the batch.
    ///
    /// An ended execution that is passed is not judged again: its instance was judged, or begins earlier.
    pub fn next_instance(&mut self) -> Option<InstanceId> {
        while self.goes_on() {
            let execution = self.ended.as_mut()?.pop_front()?;
            self.position.last = Some((execution.end_time, execution.id));
            if execution.is_first {
                return Some(execution.instance_id);
            }
        }
        None
    }

    /// Notes that the instance in the middle of which the batch begins has gone meanwhile.
    pub fn forget_unfinished(&mut self) {
        self.position.unfinished = None;
    }

    /// Decides which executions of an instance go, of which at most [`window`](Self::window) are known.
    pub fn judge(&mut self, history: &InstanceHistory) {
        let before = self.position.unfinished.take().map_or(0, |unfinished| unfinished.needed);
        let executions = &history.executions;
        self.left = self.left.saturating_sub(executions.len());
        // A first part alone: were one removed after which an earlier one stays, that one could become the last, and
        // what came of it later would be forgotten.
        let part = executions.iter().take_while(|execution| self.is_asked_for(execution, history)).count();
        let part = &executions[..part];
        let is_whole_window = part.len() == executions.len();
        if is_whole_window && executions.last().is_none_or(|execution| execution.id == history.last) {
            self.executions.extend(part.iter().map(|execution| execution.id));
            self.counted += if self.request.dry_run { before } else { 0 };
            self.instances.push(history.id);
            return;
        }
        // The next launch of the instance must still find which steps are complete, or it would run them twice.
        let is_needed = |execution: &&PastExecution| execution.has_newest_step && execution.id >= history.lineage;
        let (needed, free): (Vec<_>, Vec<_>) = part.iter().partition(is_needed);
        self.executions.extend(free.iter().map(|execution| execution.id));
        let progresses = self.request.dry_run || !free.is_empty();
        if is_whole_window && executions.len() >= self.window && progresses {
            let counted_to = executions.last().map_or(history.last, |execution| execution.id);
            let needed = before + i64::try_from(needed.len()).unwrap_or(i64::MAX);
            self.position.unfinished = Some(UnfinishedInstance { id: history.id, counted_to, needed });
        }
    }

    /// Returns whether the batch goes on to the next instance.
    pub fn goes_on(&self) -> bool {
        self.left > 0 && self.position.unfinished.is_none()
    }

    /// Returns whether an execution is one of those that were asked for. One whose skipped items are being run again,
    /// or whose re-run could be restarted, is not: the items would go with it, and the re-run would find nothing left
    /// to do.
    fn is_asked_for(&self, execution: &PastExecution, history: &InstanceHistory) -> bool {
        let request = self.request;
        let Some(end_time) = execution.end_time else { return false };
        let is_kept = request.keep_per_job.is_some_and(|keep| keep > 0) && {
            let oldest_kept = self.position.newest.get(&history.job_name).copied().flatten();
            oldest_kept.is_none_or(|oldest| execution.id >= oldest)
        };
        let could_be_restarted = execution.id == history.last && execution.status.is_restartable();
        !execution.status.is_running()
            && request.ended_before.is_none_or(|before| end_time < before)
            && (request.statuses.is_empty() || request.statuses.contains(&execution.status))
            && !is_kept
            && !execution.reruns.iter().any(|status| status.is_running() || status.is_restartable())
            && (request.include_restartable || !could_be_restarted)
    }

    /// The report of the batch, which held up others for so long.
    pub fn report(self, held: Duration) -> PurgeReport {
        let is_last = self.found_last && self.ended.as_ref().is_some_and(VecDeque::is_empty);
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let next = (!is_last || !self.goes_on()).then_some(self.position);
        PurgeReport {
            executions: count(self.executions.len()).saturating_add(self.counted),
            instances: count(self.instances.len()),
            next,
            held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTARTABLE: [Status; 2] = [Status::Stopped, Status::Failed];

    fn request() -> PurgeRequest {
        PurgeRequest { batch: 100, ..PurgeRequest::default() }
    }

    /// An execution that ended as many seconds after 1970 as its id says.
    fn past(id: i64, status: Status, has_newest_step: bool) -> PastExecution {
        let end_time = (!status.is_running()).then(|| Timestamp::from_second(id).unwrap());
        PastExecution { id: ExecutionId(id), status, end_time, has_newest_step, reruns: Vec::new() }
    }

    fn history(executions: Vec<PastExecution>, lineage: i64) -> InstanceHistory {
        let last = executions.last().unwrap().id;
        let (id, job_name) = (InstanceId(1), "Job".to_owned());
        InstanceHistory { id, job_name, last, lineage: ExecutionId(lineage), executions }
    }

    /// The ids that go, and whether the instance goes.
    fn judged(request: &PurgeRequest, history: &InstanceHistory) -> (Vec<i64>, bool) {
        let mut purge = Purge::new(request);
        purge.judge(history);
        (purge.executions.iter().map(|id| id.0).collect(), !purge.instances.is_empty())
    }

    #[test]
    fn what_runs_or_could_be_restarted_stays() {
        for status in Status::ALL {
            let alone = history(vec![past(1, status, true)], 1);
            let goes = !status.is_running() && !RESTARTABLE.contains(&status);
            assert_eq!(judged(&request(), &alone).1, goes, "{status}");
            let all = PurgeRequest { include_restartable: true, ..request() };
            assert_eq!(judged(&all, &alone).1, !status.is_running(), "{status}");
            let others = PurgeRequest { statuses: vec![Status::Completed], ..all };
            assert_eq!(judged(&others, &alone).1, status == Status::Completed, "{status}");
        }
    }

    #[test]
    fn steps_that_the_next_launch_looks_up_stay() {
        let failed = |first, lineage| {
            let executions = vec![past(1, Status::Failed, first), past(2, Status::Failed, true)];
            judged(&request(), &history(executions, lineage)).0
        };
        assert_eq!(failed(true, 1), [] as [i64; 0]);
        assert_eq!(failed(false, 1), [1]);
        // A forced execution looks up nothing from before.
        assert_eq!(failed(true, 2), [1]);
        let whole = history(vec![past(1, Status::Failed, true), past(2, Status::Completed, true)], 1);
        assert_eq!(judged(&request(), &whole), (vec![1, 2], true));
    }

    #[test]
    fn nothing_goes_after_which_an_earlier_execution_stays() {
        let completed = PurgeRequest { statuses: vec![Status::Completed], ..request() };
        let statuses = [Status::Completed, Status::Failed, Status::Completed, Status::Completed];
        let executions = (1..).zip(statuses).map(|(id, status)| past(id, status, false)).collect();
        assert_eq!(judged(&completed, &history(executions, 1)), (vec![1], false));
    }

    #[test]
    fn age_and_number_are_bounds_that_hold_together() {
        let of = |ended_before: i64, keep_per_job, newest: Option<i64>| {
            let ended_before = Some(Timestamp::from_second(ended_before).unwrap());
            let request = PurgeRequest { ended_before, keep_per_job, ..request() };
            let mut purge = Purge::new(&request);
            if purge.asks_newest("Job").is_some() {
                purge.note_newest("Job", newest.map(ExecutionId));
            }
            purge.judge(&history((1..=5).map(|id| past(id, Status::Completed, false)).collect(), 1));
            purge.executions.len()
        };
        assert_eq!([of(1, None, None), of(3, None, None), of(9, None, None)], [0, 2, 5]);
        assert_eq!([of(9, Some(2), Some(4)), of(3, Some(2), Some(4)), of(9, Some(9), None)], [3, 2, 0]);
    }

    #[test]
    fn what_is_run_again_stays() {
        for status in Status::ALL {
            let executions = vec![PastExecution { reruns: vec![status], ..past(1, Status::Completed, false) }];
            let goes = !status.is_running() && !RESTARTABLE.contains(&status);
            assert_eq!(judged(&request(), &history(executions, 1)).1, goes, "{status}");
        }
    }

    /// Purges one instance batch by batch; how many executions went in each.
    fn batches(all: &[PastExecution], lineage: i64, dry_run: bool) -> Vec<i64> {
        let (mut left, mut request) = (all.to_vec(), PurgeRequest { batch: 1, dry_run, ..request() });
        let (mut counts, last) = (Vec::new(), all.last().unwrap().id);
        loop {
            let mut purge = Purge::new(&request);
            let after = purge.unfinished().and_then(|(_, after)| after).unwrap_or(ExecutionId(0));
            let executions = left.iter().filter(|one| one.id > after).take(purge.window()).cloned().collect();
            let (id, job_name) = (InstanceId(1), "Job".to_owned());
            let lineage = ExecutionId(lineage);
            purge.judge(&InstanceHistory { id, job_name, last, lineage, executions });
            if !dry_run {
                left.retain(|one| !purge.executions.contains(&one.id));
            }
            purge.take_ended(Vec::new());
            let report = purge.report(Duration::ZERO);
            counts.push(report.executions);
            match report.next.filter(|next| next.unfinished.is_some()) {
                Some(next) => request.after = Some(next),
                None => return counts,
            }
        }
    }

    #[test]
    fn a_long_history_goes_in_batches_and_a_dry_run_counts_the_same() {
        let all: Vec<_> = (1..=200).map(|id| past(id, Status::Completed, id % 50 == 1)).collect();
        for last in [Status::Completed, Status::Failed] {
            let mut all = all.clone();
            all[199].status = last;
            let (real, dry) = (batches(&all, 1, false), batches(&all, 1, true));
            assert!(real.len() > 3 && real.iter().all(|count| *count <= 64 + 4), "{real:?}");
            let expected = if last == Status::Completed { 200 } else { 195 };
            assert_eq!([real.iter().sum::<i64>(), dry.iter().sum()], [expected; 2], "{real:?} {dry:?}");
        }
    }
}
