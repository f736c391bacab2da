//! Cases of the history of changes: whoever follows it misses none, and is reported none twice.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::collections::BTreeMap;

use super::Backend;
use super::fixture::{LONG, Process, launch_of};
use crate::execution::{ExecutionId, Status, StatusEvent};

/// Someone who follows the changes.
struct Follower<'a> {
    process: &'a Process,
    position: String,
    limit: u32,
}

impl<'a> Follower<'a> {
    async fn of(process: &'a Process, limit: u32) -> Self {
        let now = process.repository.changes(None, limit).await.unwrap();
        assert!(now.executions.is_empty() && !now.more && !now.resumed);
        Self { process, position: now.position, limit }
    }

    /// All that has changed since the last look.
    async fn look(&mut self) -> Vec<(i64, Status)> {
        let mut seen = Vec::new();
        loop {
            let page = self.process.repository.changes(Some(&self.position), self.limit).await.unwrap();
            assert!(page.executions.len() <= self.limit as usize);
            assert!(!page.more || !page.executions.is_empty());
            seen.extend(page.executions.iter().map(|execution| (execution.id.0, execution.status)));
            self.position = page.position;
            if !page.more {
                return seen;
            }
        }
    }
}

/// A launch, a start, a stop, an end and an abandonment are reported once each, whoever made them; all else is not.
pub async fn each_change_of_a_status_is_told_once(backend: &dyn Backend) {
    let (one, other) = (Process::start(backend).await, Process::start(backend).await);
    one.launch(launch_of(1)).await.unwrap();
    let mut follower = Follower::of(&other, 10).await;
    assert!(follower.look().await.is_empty(), "what was before is no change");
    let claimed = one.claim(LONG).await.unwrap();
    let id = claimed.execution.id;
    assert_eq!(follower.look().await, [(id.0, Status::Started)]);
    let step = one.start_step(&claimed.lease, "step").await;
    one.commit(&step, "{}").await;
    one.renew(&[claimed.lease]).await;
    one.beat(LONG).await;
    assert!(follower.look().await.is_empty());
    one.repository.request_stop(id).await.unwrap();
    one.repository.request_stop(id).await.unwrap();
    assert_eq!(follower.look().await, [(id.0, Status::Stopping)]);
    one.end(&claimed.lease, StatusEvent::Stop).await;
    let next = one.launch(launch_of(2)).await.unwrap().execution.id;
    assert_eq!(follower.look().await, [(id.0, Status::Stopped), (next.0, Status::Starting)]);
    // Several changes between two looks are one.
    one.repository.abandon(id).await.unwrap();
    one.claim(LONG).await.unwrap();
    one.repository.request_stop(next).await.unwrap();
    assert_eq!(follower.look().await, [(id.0, Status::Abandoned), (next.0, Status::Stopping)]);
    assert!(follower.look().await.is_empty());
}

/// Pages of a look tell everything once, also when more changes while they are turned.
pub async fn many_changes_are_told_in_pages(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let mut follower = Follower::of(&process, 3).await;
    for key in 0..7 {
        process.launch(launch_of(key)).await.unwrap();
    }
    let first = process.repository.changes(Some(&follower.position), 3).await.unwrap();
    assert!(first.more && first.resumed);
    let reported: Vec<_> = first.executions.iter().map(|execution| execution.id).collect();
    // One of the page that was reported and one of those that were not change again, and a new one comes.
    process.repository.request_stop(reported[0]).await.unwrap();
    process.repository.request_stop(ExecutionId(reported[0].0 + 5)).await.unwrap();
    let new = process.launch(launch_of(7)).await.unwrap().execution.id;
    follower.position = first.position;
    let mut known: BTreeMap<i64, Status> = reported.iter().map(|id| (id.0, Status::Starting)).collect();
    let mut looks = 0;
    while looks < 3 {
        let seen = follower.look().await;
        assert!(looks < 2 || seen.is_empty(), "{seen:?}");
        known.extend(seen);
        looks += 1;
    }
    let stopped: Vec<_> = known.iter().filter(|(_, status)| **status == Status::Stopped).map(|(id, _)| *id).collect();
    assert_eq!(stopped, [reported[0].0, reported[0].0 + 5]);
    assert_eq!((known.len(), known[&new.0]), (8, Status::Starting));
    // Whoever has the first page and its short position misses nothing.
    let again = process.repository.changes(Some(&first.resume), 100).await.unwrap();
    let mut resumed: BTreeMap<i64, Status> = reported.iter().map(|id| (id.0, Status::Starting)).collect();
    resumed.extend(again.executions.iter().map(|execution| (execution.id.0, execution.status)));
    assert_eq!(resumed, known);
}

/// Whoever looks while many launch and stop at once has seen the last status of each in the end.
pub async fn no_change_is_missed_while_many_happen_at_once(backend: &dyn Backend) {
    let (one, two) = (Process::start(backend).await, Process::start(backend).await);
    let mut follower = Follower::of(&one, 5).await;
    let mut known = BTreeMap::new();
    let work = futures_util::future::join_all((0..48).map(|key| {
        let process = if key % 2 == 0 { &one } else { &two };
        async move {
            let id = process.launch(launch_of(key)).await.unwrap().execution.id;
            if key % 3 == 0 {
                process.repository.request_stop(id).await.unwrap();
            }
        }
    }));
    futures_util::pin_mut!(work);
    loop {
        let look = follower.look();
        futures_util::pin_mut!(look);
        match futures_util::future::select(&mut work, look).await {
            futures_util::future::Either::Left((_, look)) => {
                known.extend(look.await);
                break;
            }
            futures_util::future::Either::Right((seen, _)) => known.extend(seen),
        }
    }
    known.extend(follower.look().await);
    assert_eq!(known.len(), 48);
    for (id, seen) in known {
        assert_eq!(one.repository.execution(ExecutionId(id)).await.unwrap().unwrap().status, seen, "{id}");
    }
}

/// A position that the store has not told is as none, and never an error.
pub async fn a_position_of_another_store_tells_where_the_history_is(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    process.launch(launch_of(1)).await.unwrap();
    for position in ["", "0", "end", "s-1", "s99999999999999999999", "p0", "p1:0:", "p9:9:9", "p1:5:7", "é"] {
        let page = process.repository.changes(Some(position), 10).await.unwrap();
        assert!(page.executions.is_empty() && !page.more && !page.resumed, "{position}");
        assert!(!page.position.is_empty() && page.resume.len() <= 64, "{page:?}");
    }
}

/// The steps of what runs are listed together, and none of what waits or has ended.
pub async fn the_steps_of_all_that_runs_are_listed_together(backend: &dyn Backend) {
    let (one, other) = (Process::start(backend).await, Process::start(backend).await);
    let (first, second) = (one.run(1, LONG).await, other.run(2, LONG).await);
    one.run_step(&first, "a", StatusEvent::Complete).await;
    let b = one.start_step(&first, "b").await;
    let c = other.start_step(&second, "c").await;
    one.commit(&b, "{}").await;
    let names = async |limit| {
        let steps = other.repository.running_steps(limit).await.unwrap();
        steps.into_iter().map(|step| (step.step_name, step.status, step.counters.commit)).collect::<Vec<_>>()
    };
    let step = |name: &str, status, commits| (name.to_owned(), status, commits);
    let all = [step("a", Status::Completed, 0), step("b", Status::Started, 1), step("c", Status::Started, 0)];
    assert_eq!(names(10).await, all);
    assert_eq!(names(2).await, all[..2]);
    one.end_step(&b, StatusEvent::Complete).await;
    one.end(&first, StatusEvent::Complete).await;
    assert_eq!(names(10).await, all[2..]);
    other.end_step(&c, StatusEvent::Fail).await;
    other.end(&second, StatusEvent::Fail).await;
    assert!(names(10).await.is_empty());
}
