//! Cases of backfills: the fires of the schedule itself, launched within a limit of their own, in their order.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use jiff::{SignedDuration, Timestamp};

use super::Backend;
use super::fixture::{JOB, LONG, Process, launch_of};
use crate::execution::StatusEvent;
use crate::repository::{
    Backfill, BackfillId, BackfillState, BackfillWork, Fire, FireFilter, FireLaunch, FireOutcome, FireRequest, Fired,
    NewBackfill, PageRequest, Pause, PauseScope, PutSchedule, RecordedFire, ReleaseRequest, ScheduleFilter,
    ScheduleOrigin, StoredSchedule,
};
use crate::schedule::rules::Policies;
use crate::schedule::{Schedule, Which};

fn minute(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_mins(1_000_000 + minutes)).unwrap()
}

/// A schedule that has missed its fires of the minutes 1 to 3.
async fn schedule(process: &Process) -> StoredSchedule {
    let put = PutSchedule {
        name: "nightly".to_owned(),
        job_name: JOB.to_owned(),
        definition: Schedule::cron("* * * * *").to_json(),
        origin: ScheduleOrigin::Added,
        recorded_until: minute(10),
        next_fire: Some(minute(11)),
        revision: None,
        time: minute(10),
        paused: None,
    };
    assert!(process.repository.put_schedule(put).await.unwrap());
    let stored = process.repository.schedules(ScheduleFilter::All).await.unwrap().remove(0);
    let missed = |at| RecordedFire { instant: minute(at), outcome: FireOutcome::Missed, message: "off".to_owned() };
    let recorded = (1..=3).map(missed).collect();
    let request = FireRequest { schedule_id: stored.id, advance: None, recorded, fire: None, time: minute(10) };
    assert!(matches!(process.repository.fire(request).await.unwrap(), Fired::Recorded { .. }));
    stored
}

async fn begin(process: &Process, stored: &StoredSchedule, newest_first: bool) -> BackfillId {
    let new = NewBackfill {
        schedule_id: stored.id,
        first_day: "1971-11-26".parse().unwrap(),
        last_day: "1971-11-27".parse().unwrap(),
        which: Which::Missing,
        max_running: 2,
        newest_first,
        // One of them has no row yet.
        fires: (0..=3).map(minute).collect(),
        time: minute(12),
    };
    process.repository.create_backfill(new).await.unwrap()
}

async fn shown(process: &Process, id: BackfillId) -> Backfill {
    process.repository.backfills(Some(id)).await.unwrap().remove(0)
}

async fn work(process: &Process) -> Vec<BackfillWork> {
    process.repository.backfill_work(minute(20)).await.unwrap()
}

async fn launch(process: &Process, fire: &Fire) -> Fire {
    let key = fire.instant.duration_since(minute(0)).as_mins();
    let launch = Ok(FireLaunch { request: launch_of(key), policies: Policies::asked_for() });
    let from = &[FireOutcome::Planned, FireOutcome::Waiting];
    let request = ReleaseRequest { fire_id: fire.id, from, launch, time: minute(20) };
    match process.repository.release(request).await.unwrap() {
        Fired::Recorded { fire: Some(fire), .. } => fire,
        other => panic!("{other:?}"),
    }
}

/// The fires go within the limit and in the order that was asked for; the schedule is not moved.
pub async fn a_backfill_launches_within_its_limit_and_never_moves_the_schedule(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let stored = schedule(&process).await;
    let id = begin(&process, &stored, true).await;
    assert!(process.repository.agenda().await.unwrap().has_backfills);
    let before = shown(&process, id).await;
    assert_eq!((before.fires, before.planned, before.state), (4, 4, BackfillState::Running));
    let first = work(&process).await.remove(0);
    let instants: Vec<_> = first.next.iter().map(|fire| fire.instant).collect();
    assert_eq!(instants, [minute(3), minute(2)], "the newest first, and no more than may run");
    assert_eq!((first.backfill.id, first.schedule.id), (id, stored.id));
    for fire in &first.next {
        assert_eq!(launch(&process, fire).await.outcome, FireOutcome::Launched);
    }
    assert!(work(&process).await.is_empty(), "there is no room");
    let pause = Pause {
        scope: PauseScope::Schedule,
        name: "nightly".to_owned(),
        reason: "release".to_owned(),
        since: minute(20),
        until: None,
    };
    for event in [StatusEvent::Complete, StatusEvent::Fail] {
        let claimed = process.claim(LONG).await.unwrap();
        process.end(&claimed.lease, event).await;
    }
    process.repository.pause(pause).await.unwrap();
    assert!(work(&process).await.is_empty(), "it is paused");
    assert!(process.repository.resume(PauseScope::Schedule, "nightly", minute(5)).await.unwrap());
    let rest = work(&process).await.remove(0);
    assert_eq!(rest.next.iter().map(|fire| fire.instant).collect::<Vec<_>>(), [minute(1), minute(0)]);
    for fire in &rest.next {
        launch(&process, fire).await;
        let claimed = process.claim(LONG).await.unwrap();
        process.end(&claimed.lease, StatusEvent::Complete).await;
    }
    assert!(work(&process).await.is_empty());
    let after = shown(&process, id).await;
    assert_eq!((after.complete, after.failed, after.planned, after.state), (3, 1, 0, BackfillState::Ended));
    assert!(!process.repository.agenda().await.unwrap().has_backfills);
    let moved = process.repository.schedules(ScheduleFilter::All).await.unwrap().remove(0);
    assert_eq!((moved.recorded_until, moved.next_fire, moved.last), (minute(10), Some(minute(11)), None));
    let page = PageRequest { before: None, limit: 500 };
    let of_backfill = FireFilter { backfill_id: Some(id.0), ..FireFilter::default() };
    assert_eq!(process.repository.fires(of_backfill, page).await.unwrap().fires.len(), 4);
    assert_eq!(
        process.repository.fires(FireFilter::default(), page).await.unwrap().fires.len(),
        4,
        "each is there once"
    );
}

/// A fire that is cancelled is launched by nobody; one that was launched goes on.
pub async fn a_cancelled_backfill_launches_no_more(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let stored = schedule(&process).await;
    let id = begin(&process, &stored, false).await;
    let next = work(&process).await.remove(0).next;
    assert_eq!(next[0].instant, minute(0));
    launch(&process, &next[0]).await;
    assert!(process.repository.cancel_backfill(id, minute(21)).await.unwrap());
    assert!(!process.repository.cancel_backfill(id, minute(21)).await.unwrap());
    let cancelled = shown(&process, id).await;
    assert_eq!((cancelled.state, cancelled.running, cancelled.failed), (BackfillState::Cancelled, 1, 3));
    assert!(work(&process).await.is_empty());
    assert!(process.repository.backfills(Some(BackfillId(99))).await.unwrap().is_empty());
    assert_eq!(process.repository.backfills(None).await.unwrap().len(), 1);
    let keys = [0, 1].map(|key| launch_of(key).parameters.job_key()).to_vec();
    let last = process.repository.last_runs(JOB, keys).await.unwrap();
    assert!(last[0].is_some_and(|last| last.status.is_running()) && last[1].is_none());
}
