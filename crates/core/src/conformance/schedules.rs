//! Cases of schedules: a fire is one row, of many who see it one records it, and nothing of it is lost.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::Backend;
use super::fixture::{JOB, LONG, Process, admitted, launch_of};
use crate::execution::StatusEvent;
use crate::repository::{
    Advance, Agenda, DeadlineKind, Fire, FireFilter, FireLaunch, FireOutcome, FireRequest, Fired, NewFire, PageRequest,
    Pause, PauseScope, PutSchedule, RecordedFire, ReleaseRequest, ScheduleFilter, ScheduleId, ScheduleOrigin,
    StoredSchedule,
};
use crate::schedule::rules::Policies;
use crate::schedule::{AfterFailure, OnExisting, Overlap, Schedule};

const NAME: &str = "nightly";
const DEFAULTS: Policies = Policies {
    overlap: Overlap::Wait,
    after_failure: AfterFailure::GoOn,
    on_existing: OnExisting::Record,
    waits_for_instance: false,
};

/// An instant so many minutes after the begin of the cases.
fn minute(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_mins(1_000_000 + minutes)).unwrap()
}

fn put_of(name: &str, revision: Option<i64>) -> PutSchedule {
    PutSchedule {
        name: name.to_owned(),
        job_name: JOB.to_owned(),
        definition: Schedule::cron("* * * * *").to_json(),
        origin: ScheduleOrigin::Added,
        recorded_until: minute(0),
        next_fire: Some(minute(1)),
        revision,
        time: minute(0),
        paused: None,
    }
}

async fn read(process: &Process, name: &str) -> Option<StoredSchedule> {
    process.repository.schedules(ScheduleFilter::Named(name.to_owned())).await.unwrap().into_iter().next()
}

/// A schedule that has its first fire at the first minute.
async fn schedule(process: &Process, name: &str) -> StoredSchedule {
    assert!(process.repository.put_schedule(put_of(name, None)).await.unwrap());
    read(process, name).await.unwrap()
}

/// The fire of a minute, which launches the instance of that number.
fn fire_at(stored: &StoredSchedule, at: i64, policies: Policies) -> FireRequest {
    let launch = Ok(FireLaunch { request: launch_of(at), policies });
    let next = Advance { revision: stored.revision, recorded_until: minute(at), next_fire: Some(minute(at + 1)) };
    FireRequest {
        schedule_id: stored.id,
        advance: Some(next),
        recorded: Vec::new(),
        fire: Some(NewFire { instant: minute(at), file: String::new(), launch, deadlines: Vec::new() }),
        time: minute(at),
    }
}

/// Fires the minute of a schedule as it stands now.
async fn fire(process: &Process, name: &str, at: i64, policies: Policies) -> Fire {
    let stored = read(process, name).await.unwrap();
    recorded(process.repository.fire(fire_at(&stored, at, policies)).await.unwrap())
}

fn recorded(fired: Fired) -> Fire {
    match fired {
        Fired::Recorded { fire: Some(fire), .. } => fire,
        other => panic!("{other:?}"),
    }
}

async fn fires(process: &Process, filter: FireFilter) -> Vec<Fire> {
    process.repository.fires(filter, PageRequest { before: None, limit: 500 }).await.unwrap().fires
}

/// Takes the execution of a fire and ends it.
async fn end(process: &Process, fire: &Fire, event: StatusEvent) {
    let claimed = process.claim(LONG).await.unwrap();
    assert_eq!(Some(claimed.execution.id), fire.execution_id);
    process.end(&claimed.lease, event).await;
}

async fn release(process: &Process, fire: &Fire, key: i64, policies: Policies) -> Fired {
    let launch = Ok(FireLaunch { request: launch_of(key), policies });
    let request = ReleaseRequest { fire_id: fire.id, from: &[FireOutcome::Waiting], launch, time: minute(99) };
    process.repository.release(request).await.unwrap()
}

/// Of many nodes that see a fire, one launches it; the others write nothing.
pub async fn of_many_nodes_one_fires(backend: &dyn Backend) {
    let processes = [Process::start(backend).await, Process::start(backend).await];
    let stored = schedule(&processes[0], NAME).await;
    let race = (0..20).map(|racer| {
        let request = fire_at(&stored, 1, DEFAULTS);
        let process = &processes[racer % 2];
        async move { process.repository.fire(request).await.unwrap() }
    });
    let fired = join_all(race).await;
    assert_eq!(fired.iter().filter(|fired| **fired != Fired::Stale).count(), 1);
    let kept = fires(&processes[1], FireFilter::default()).await;
    let [fire] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((fire.instant, fire.outcome, fire.schedule_name.as_str()), (minute(1), FireOutcome::Launched, NAME));
    let execution = processes[0].execution(fire.execution_id.unwrap()).await;
    assert_eq!(execution.parameters, launch_of(1).parameters);
    for (at, is_there) in [(1, true), (2, false)] {
        assert_eq!(processes[1].repository.has_fire(stored.id, minute(at), "").await.unwrap(), is_there);
    }
    let moved = read(&processes[0], NAME).await.unwrap();
    assert_eq!((moved.recorded_until, moved.next_fire), (minute(1), Some(minute(2))));
    assert_eq!(moved.last.map(|last| last.id), fire.execution_id);

    // The row alone would keep it from firing again, whatever the schedule says.
    let again = FireRequest { advance: None, ..fire_at(&moved, 1, DEFAULTS) };
    assert_eq!(processes[1].repository.fire(again).await.unwrap(), Fired::Stale);
    assert_eq!(fires(&processes[0], FireFilter::default()).await.len(), 1);
}

/// Fires that an outage has left out are recorded in the transaction of the fire behind it; a fire whose launch is not
/// possible is recorded too.
pub async fn what_was_missed_is_recorded_with_the_fire_behind_it(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let stored = schedule(&process, NAME).await;
    let missed = |at| RecordedFire {
        instant: minute(at),
        outcome: FireOutcome::Missed,
        message: "no node was there".to_owned(),
    };
    let request = FireRequest { recorded: (1..=500).map(missed).collect(), ..fire_at(&stored, 501, DEFAULTS) };
    assert_eq!(recorded(process.repository.fire(request).await.unwrap()).outcome, FireOutcome::Launched);
    let first =
        process.repository.fires(FireFilter::default(), PageRequest { before: None, limit: 100 }).await.unwrap();
    assert_eq!((first.fires.len(), first.fires[0].instant), (100, minute(501)));
    let only = FireFilter { schedule_id: Some(stored.id), outcome: Some(FireOutcome::Missed), backfill_id: None };
    assert_eq!(fires(&process, only.clone()).await.len(), 500);
    let second = PageRequest { before: first.next, limit: 1_000 };
    let rest = process.repository.fires(FireFilter::default(), second).await.unwrap();
    assert_eq!((rest.fires.len(), rest.next), (401, None));

    let moved = read(&process, NAME).await.unwrap();
    let mut refused = fire_at(&moved, 502, DEFAULTS);
    refused.fire.as_mut().unwrap().launch = Err("no node knows the job".to_owned());
    let refused = recorded(process.repository.fire(refused).await.unwrap());
    assert_eq!((refused.outcome, refused.message.as_deref()), (FireOutcome::Refused, Some("no node knows the job")));
    assert_eq!(refused.execution_id, None);
    let other = FireFilter { schedule_id: Some(ScheduleId(stored.id.0 + 1)), ..only };
    assert!(fires(&process, other).await.is_empty());
}

/// A fire whose instance exists does nothing but say so.
pub async fn a_fire_whose_instance_exists_is_recorded_alone(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    schedule(&process, NAME).await;
    let running = process.run(1, LONG).await;
    let found = fire(&process, NAME, 1, DEFAULTS).await;
    assert_eq!((found.outcome, found.execution_id), (FireOutcome::AlreadyRunning, Some(running.execution_id())));
    process.end(&running, StatusEvent::Complete).await;
    let lease = process.run(2, LONG).await;
    process.end(&lease, StatusEvent::Fail).await;
    assert_eq!(fire(&process, NAME, 2, DEFAULTS).await.outcome, FireOutcome::AlreadyFailed);
    let lease = process.run(3, LONG).await;
    process.end(&lease, StatusEvent::Complete).await;
    assert_eq!(fire(&process, NAME, 3, DEFAULTS).await.outcome, FireOutcome::AlreadyComplete);
    let lease = process.run(4, LONG).await;
    process.end(&lease, StatusEvent::Fail).await;
    let restarted = fire(&process, NAME, 4, Policies { on_existing: OnExisting::Restart, ..DEFAULTS }).await;
    assert_eq!(restarted.outcome, FireOutcome::Launched);
    assert_ne!(restarted.execution_id, Some(lease.execution_id()));
}

/// Fires wait in their order while the one before them runs, and go on one by one.
pub async fn fires_wait_in_their_order_for_the_one_before_them(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    schedule(&process, NAME).await;
    let first = fire(&process, NAME, 1, DEFAULTS).await;
    let second = fire(&process, NAME, 2, DEFAULTS).await;
    let third = fire(&process, NAME, 3, DEFAULTS).await;
    let skipped = fire(&process, NAME, 4, Policies { overlap: Overlap::Skip, ..DEFAULTS }).await;
    let beside = fire(&process, NAME, 5, Policies { overlap: Overlap::Allow, ..DEFAULTS }).await;
    let outcomes = [&first, &second, &third, &skipped, &beside].map(|fire| fire.outcome);
    use FireOutcome::{Launched, Skipped, Waiting};
    assert_eq!(outcomes, [Launched, Waiting, Waiting, Skipped, Launched]);
    assert!(second.message.unwrap().contains(&first.execution_id.unwrap().to_string()));
    assert!(process.repository.agenda().await.unwrap().has_waiting);

    let stored = read(&process, NAME).await.unwrap();
    assert_eq!((stored.waiting, stored.last.map(|last| last.id)), (2, beside.execution_id));
    end(&process, &first, StatusEvent::Complete).await;
    end(&process, &beside, StatusEvent::Fail).await;
    let waiting = process.repository.waiting_fires(None, 10).await.unwrap();
    let [next] = &waiting[..] else { panic!("{waiting:?}") };
    assert_eq!((next.fire.instant, next.schedule.waiting), (minute(2), 2));
    // It comes before the third; after the failure it waits where the schedule holds.
    let hold = Policies { after_failure: AfterFailure::Hold, ..DEFAULTS };
    assert_eq!(recorded(release(&process, &next.fire, 2, hold).await).outcome, Waiting);
    let launched = recorded(release(&process, &next.fire, 2, DEFAULTS).await);
    assert_eq!(launched.outcome, Launched);
    assert_eq!(release(&process, &next.fire, 2, DEFAULTS).await, Fired::Stale, "once");
    assert_eq!(recorded(release(&process, &third, 3, DEFAULTS).await).outcome, Waiting);
    end(&process, &launched, StatusEvent::Complete).await;
    assert_eq!(recorded(release(&process, &third, 3, DEFAULTS).await).outcome, Launched);
    assert!(!process.repository.agenda().await.unwrap().has_waiting);
}

/// A full queue loses no fire: it waits.
pub async fn a_fire_waits_for_a_place_in_the_queue(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let stored = schedule(&process, NAME).await;
    let full = |mut request: FireRequest| {
        let launch = request.fire.as_mut().unwrap().launch.as_mut().unwrap();
        launch.request = admitted(launch.request.clone(), |admission| admission.queue_limit = 0);
        request
    };
    let waiting = recorded(process.repository.fire(full(fire_at(&stored, 1, DEFAULTS))).await.unwrap());
    assert_eq!(waiting.outcome, FireOutcome::Waiting);
    assert!(waiting.message.as_deref().unwrap().contains("queue is full"));
    assert_eq!(recorded(release(&process, &waiting, 1, DEFAULTS).await).outcome, FireOutcome::Launched);
}

fn pause_of(scope: PauseScope, name: &str) -> Pause {
    let (name, reason) = (name.to_owned(), "release".to_owned());
    Pause { scope, name, reason, since: minute(0), until: Some(minute(30)) }
}

fn due_at(at: i64, after: Option<(Timestamp, ScheduleId)>, limit: u32) -> ScheduleFilter {
    ScheduleFilter::Due { until: minute(at), after, limit }
}

/// Due schedules and waiting fires come page by page: behind those that cannot go on stand those that can.
pub async fn what_is_due_and_what_waits_come_page_by_page(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for (name, first) in [("c", 1), ("a", 2), ("b", 1), ("d", 9)] {
        let put = PutSchedule { next_fire: Some(minute(first)), ..put_of(name, None) };
        assert!(process.repository.put_schedule(put).await.unwrap());
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = process.repository.schedules(due_at(3, after, 1)).await.unwrap();
        let Some(stored) = page.into_iter().next() else { break };
        after = stored.next_fire.zip(Some(stored.id));
        names.push(stored.name);
    }
    assert_eq!(names, ["c", "b", "a"]);

    for (number, name) in ["c", "b", "a"].into_iter().enumerate() {
        let stored = read(&process, name).await.unwrap();
        let fires = [(2, FireOutcome::Launched), (3, FireOutcome::Waiting), (4, FireOutcome::Waiting)];
        for (at, outcome) in fires {
            let mut request = fire_at(&read(&process, &stored.name).await.unwrap(), at, DEFAULTS);
            let key = i64::try_from(number).unwrap() * 100 + at;
            request.fire.as_mut().unwrap().launch = Ok(FireLaunch { request: launch_of(key), policies: DEFAULTS });
            assert_eq!(recorded(process.repository.fire(request).await.unwrap()).outcome, outcome);
        }
    }
    let (mut waiting, mut after) = (Vec::new(), None);
    loop {
        let page = process.repository.waiting_fires(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.fire.instant, last.fire.id));
        waiting.extend(page.into_iter().map(|waiting| (waiting.fire.schedule_name, waiting.fire.instant)));
    }
    assert_eq!(waiting, ["c", "b", "a"].map(|name| (name.to_owned(), minute(3))), "the first of each, once");
}

async fn due(process: &Process, at: i64) -> Vec<String> {
    let due = process.repository.schedules(due_at(at, None, 10)).await.unwrap();
    due.into_iter().map(|stored| stored.name).collect()
}

/// A pause holds what was about to fire, and its end leaves out what lies in it.
pub async fn a_pause_holds_schedules_and_its_end_begins_anew(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for scope in [PauseScope::Schedule, PauseScope::Job, PauseScope::All] {
        let name = scope.as_str();
        let stored = schedule(&process, name).await;
        let of = match scope {
            PauseScope::Schedule => name,
            PauseScope::Job => JOB,
            PauseScope::All => "",
        };
        assert_eq!(due(&process, 1).await, [name]);
        process.repository.pause(pause_of(scope, of)).await.unwrap();
        process.repository.pause(pause_of(scope, of)).await.unwrap();
        assert_eq!(process.repository.pauses().await.unwrap(), [pause_of(scope, of)]);
        assert!(due(&process, 20).await.is_empty(), "{scope}");
        let agenda = process.repository.agenda().await.unwrap();
        assert_eq!((agenda.next_fire, agenda.next_resume), (None, Some(minute(30))));
        assert_eq!(process.repository.fire(fire_at(&stored, 1, DEFAULTS)).await.unwrap(), Fired::Stale, "{scope}");

        assert!(process.repository.resume(scope, of, minute(20)).await.unwrap());
        assert!(!process.repository.resume(scope, of, minute(20)).await.unwrap());
        let resumed = read(&process, name).await.unwrap();
        assert_eq!(resumed.recorded_until, minute(20));
        assert!(resumed.next_fire > Some(minute(20)));
        assert_eq!(due(&process, 21).await, [name]);
        assert!(process.repository.remove_schedule(name, minute(21)).await.unwrap());
    }
    assert!(fires(&process, FireFilter::default()).await.is_empty());
}

/// A deadline is judged once, whether or not there is an execution.
pub async fn a_deadline_is_judged_once(backend: &dyn Backend) {
    let processes = [Process::start(backend).await, Process::start(backend).await];
    let process = &processes[0];
    let stored = schedule(process, NAME).await;
    let with = |mut request: FireRequest, at: i64| {
        request.fire.as_mut().unwrap().deadlines =
            vec![(DeadlineKind::Started, minute(at)), (DeadlineKind::Finished, minute(at + 1))];
        request
    };
    let first = recorded(process.repository.fire(with(fire_at(&stored, 1, DEFAULTS), 5)).await.unwrap());
    let stored = read(process, NAME).await.unwrap();
    recorded(process.repository.fire(with(fire_at(&stored, 2, DEFAULTS), 7)).await.unwrap());
    assert_eq!(process.repository.agenda().await.unwrap().next_deadline, Some(minute(5)));
    assert!(late_at(&processes, 4).await.is_empty());
    assert_eq!(late_at(&processes, 5).await, ["STARTED of 1"], "it waits in the queue");
    end(process, &first, StatusEvent::Complete).await;
    assert!(late_at(&processes, 6).await.is_empty(), "it was complete in time");
    assert_eq!(late_at(&processes, 8).await, ["STARTED of 2", "FINISHED of 2"], "it has no execution");
    assert!(late_at(&processes, 99).await.is_empty());
    assert_eq!(process.repository.agenda().await.unwrap().next_deadline, None);
}

/// The deadlines at which a fire is late, while all processes check at once.
async fn late_at(processes: &[Process], at: i64) -> Vec<String> {
    let checks = processes.iter().map(|process| process.repository.check_deadlines(minute(at), 100));
    let mut late = Vec::new();
    for checked in join_all(checks).await {
        late.extend(
            checked
                .unwrap()
                .0
                .into_iter()
                .map(|late| format!("{} of {}", late.kind, late.fire.instant.as_second() / 60 - 1_000_000)),
        );
    }
    late
}

/// A schedule is written by those who know how it stands, and its fires outlive it.
pub async fn a_schedule_is_changed_by_those_who_have_seen_it(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let repository = &process.repository;
    let empty = repository.agenda().await.unwrap();
    let nothing = Agenda { now: empty.now, ..AGENDA };
    assert_eq!(empty, nothing);
    let paused = PutSchedule { paused: Some("off".to_owned()), ..put_of(NAME, None) };
    assert!(repository.put_schedule(paused.clone()).await.unwrap());
    assert!(!repository.put_schedule(paused).await.unwrap(), "it is there");
    assert_eq!(repository.pauses().await.unwrap().len(), 1);
    assert!(repository.resume(PauseScope::Schedule, NAME, minute(0)).await.unwrap());
    let stored = read(&process, NAME).await.unwrap();
    let change =
        |revision| PutSchedule { definition: Schedule::cron("0 1 * * *").to_json(), ..put_of(NAME, Some(revision)) };
    assert!(!repository.put_schedule(change(stored.revision - 1)).await.unwrap());
    assert!(repository.put_schedule(change(stored.revision)).await.unwrap());
    assert!(!repository.put_schedule(change(stored.revision)).await.unwrap());
    assert_eq!(read(&process, NAME).await.unwrap().schedule().unwrap(), Schedule::cron("0 1 * * *"));
    fire(&process, NAME, 1, DEFAULTS).await;
    let waits = fire(&process, NAME, 2, DEFAULTS).await;

    assert!(repository.remove_schedule(NAME, minute(3)).await.unwrap());
    assert!(!repository.remove_schedule(NAME, minute(3)).await.unwrap());
    assert_eq!(read(&process, NAME).await, None);
    assert!(due(&process, 99).await.is_empty());
    let cancelled = repository.fire_of(waits.id).await.unwrap().unwrap();
    assert_eq!(cancelled.outcome, FireOutcome::Cancelled);
    assert_eq!(fires(&process, FireFilter::default()).await.len(), 2);
    schedule(&process, NAME).await;
    let all = repository.schedules(ScheduleFilter::All).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(fires(&process, FireFilter { schedule_id: Some(all[0].id), ..FireFilter::default() }).await.len(), 2);
}

const AGENDA: Agenda = Agenda {
    now: Timestamp::UNIX_EPOCH,
    next_fire: None,
    next_deadline: None,
    next_resume: None,
    has_waiting: false,
    has_files: false,
    has_backfills: false,
    next_notice: None,
};
