//! Tables of the decisions: what an outage leaves out, what becomes of a fire, what is late.

use std::time::Duration;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Missed instants and the fire of each step until nothing is due: `-` stands before what is left out.
fn story(schedule: &Schedule, recorded_until: &str, now: &str) -> String {
    let calendar = schedule.calendar().unwrap().unwrap();
    let (mut recorded_until, now, mut told) = (at(recorded_until), at(now), Vec::new());
    loop {
        let step = due(schedule, &calendar, recorded_until, now);
        told.extend(step.missed.iter().map(|(instant, _)| format!("-{}", instant.strftime("%d.%H:%M"))));
        told.extend(step.fire.map(|instant| instant.strftime("%d.%H:%M").to_string()));
        assert!(step.next.is_none_or(|next| next > step.recorded_until));
        if step.missed.is_empty() && step.fire.is_none() {
            assert!(step.next.is_none_or(|next| next > now));
            return told.join(" ");
        }
        recorded_until = step.recorded_until;
    }
}

#[test]
fn an_outage_is_made_up_for_as_the_schedule_says() {
    let daily = Schedule::cron("30 2 * * *");
    // On time, whatever the policy.
    for missed in Missed::ALL {
        assert_eq!(story(&daily.clone().missed(*missed), "2026-01-01T03:00:00Z", "2026-01-02T02:30:05Z"), "02.02:30");
    }
    let three_days = |schedule: &Schedule| story(schedule, "2026-01-01T03:00:00Z", "2026-01-04T12:00:00Z");
    assert_eq!(three_days(&daily), "-02.02:30 -03.02:30 04.02:30");
    let wide = daily.clone().window(Duration::from_secs(7 * 86_400));
    assert_eq!(three_days(&wide), "-02.02:30 -03.02:30 04.02:30");
    assert_eq!(three_days(&wide.clone().missed(Missed::All)), "02.02:30 03.02:30 04.02:30");
    assert_eq!(three_days(&daily.clone().missed(Missed::All)), "-02.02:30 -03.02:30 04.02:30");
    assert_eq!(three_days(&wide.missed(Missed::None)), "-02.02:30 -03.02:30 -04.02:30");
    let narrow = daily.window(Duration::from_secs(3_600));
    assert_eq!(three_days(&narrow), "-02.02:30 -03.02:30 -04.02:30");
}

#[test]
fn a_short_delay_is_no_outage_and_a_fire_on_time_stands_for_those_before_it() {
    let each_minute = Schedule::cron("* * * * *");
    let told = story(&each_minute, "2026-01-01T00:00:00Z", "2026-01-01T00:05:10Z");
    assert_eq!(told, "-01.00:01 -01.00:02 -01.00:03 -01.00:04 01.00:05");
    let each_second = Schedule::cron("* * * * * *");
    let calendar = each_second.calendar().unwrap().unwrap();
    let (mut recorded_until, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:03Z"));
    for expected in 1..=3 {
        let step = due(&each_second, &calendar, recorded_until, now);
        assert_eq!(
            (step.fire, step.missed.len()),
            (Timestamp::from_second(recorded_until.as_second() + 1).ok(), 0),
            "{expected}"
        );
        recorded_until = step.recorded_until;
    }
}

#[test]
fn a_long_outage_goes_in_pieces_and_a_clock_that_goes_back_fires_nothing_again() {
    let each_second = Schedule::cron("* * * * * *");
    let calendar = each_second.calendar().unwrap().unwrap();
    let (mut recorded_until, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T01:00:00Z"));
    let (mut missed, mut fired, mut steps) = (0, 0, 0);
    loop {
        let step = due(&each_second, &calendar, recorded_until, now);
        assert!(step.missed.len() <= MISSED_AT_ONCE);
        missed += step.missed.len();
        fired += usize::from(step.fire.is_some());
        if recorded_until == step.recorded_until {
            break;
        }
        recorded_until = step.recorded_until;
        steps += 1;
    }
    assert_eq!((missed, fired), (3_600 - 61, 61));
    assert!(steps < 80, "{steps}");
    let back = due(&each_second, &calendar, recorded_until, at("2025-12-31T20:00:00Z"));
    assert_eq!((back.missed.len(), back.fire, back.recorded_until), (0, None, recorded_until));
}

fn last(status: Status) -> Option<LastRun> {
    Some(LastRun { id: ExecutionId(7), status, resumes: false })
}

fn outcome(policies: Policies, facts: FireFacts) -> &'static str {
    match verdict(policies, facts) {
        Verdict::Launch => "launch",
        Verdict::Record { outcome, .. } => outcome.as_str(),
    }
}

const DEFAULTS: Policies = Policies {
    overlap: Overlap::Wait,
    after_failure: AfterFailure::GoOn,
    on_existing: OnExisting::Record,
    waits_for_instance: false,
};
const NEW: FireFacts = FireFacts { existing: None, force: false, before: None, waiting: 0 };

#[test]
fn a_fire_whose_instance_exists_is_recorded_unless_it_may_restart_it() {
    let restart = Policies { on_existing: OnExisting::Restart, ..DEFAULTS };
    for (status, recorded, restarted, forced) in [
        (Status::Starting, "ALREADY_RUNNING", "ALREADY_RUNNING", "ALREADY_RUNNING"),
        (Status::Started, "ALREADY_RUNNING", "ALREADY_RUNNING", "ALREADY_RUNNING"),
        (Status::Stopping, "ALREADY_RUNNING", "ALREADY_RUNNING", "ALREADY_RUNNING"),
        (Status::Completed, "ALREADY_COMPLETE", "ALREADY_COMPLETE", "launch"),
        (Status::Failed, "ALREADY_FAILED", "launch", "launch"),
        (Status::Stopped, "ALREADY_FAILED", "launch", "launch"),
        (Status::Abandoned, "ALREADY_FAILED", "ALREADY_FAILED", "launch"),
    ] {
        let facts = FireFacts { existing: last(status), ..NEW };
        let all =
            [outcome(DEFAULTS, facts), outcome(restart, facts), outcome(DEFAULTS, FireFacts { force: true, ..facts })];
        assert_eq!(all, [recorded, restarted, forced], "{status}");
    }
    let of_file = Policies { waits_for_instance: true, ..DEFAULTS };
    let busy = FireFacts { existing: last(Status::Started), force: true, ..NEW };
    assert_eq!(outcome(of_file, busy), "WAITING", "the next version of a file that is being worked on");
    let resumes = Some(LastRun { resumes: true, ..last(Status::Stopped).unwrap() });
    assert_eq!(outcome(restart, FireFacts { existing: resumes, ..NEW }), "ALREADY_RUNNING");
}

#[test]
fn a_fire_waits_is_left_out_or_runs_beside_the_one_before_it() {
    let with = |overlap, after_failure| Policies { overlap, after_failure, ..DEFAULTS };
    for (status, resumes, overlap, after_failure, expected) in [
        (Status::Started, false, Overlap::Wait, AfterFailure::GoOn, "WAITING"),
        (Status::Started, false, Overlap::Skip, AfterFailure::GoOn, "SKIPPED"),
        (Status::Started, false, Overlap::Allow, AfterFailure::GoOn, "launch"),
        (Status::Stopped, true, Overlap::Wait, AfterFailure::GoOn, "WAITING"),
        (Status::Completed, false, Overlap::Wait, AfterFailure::Hold, "launch"),
        (Status::Failed, false, Overlap::Wait, AfterFailure::GoOn, "launch"),
        (Status::Failed, false, Overlap::Wait, AfterFailure::Hold, "WAITING"),
        (Status::Failed, false, Overlap::Skip, AfterFailure::Hold, "SKIPPED"),
        (Status::Failed, false, Overlap::Allow, AfterFailure::Hold, "WAITING"),
        (Status::Abandoned, false, Overlap::Wait, AfterFailure::Hold, "launch"),
    ] {
        let before = Some(LastRun { resumes, ..last(status).unwrap() });
        let policies = with(overlap, after_failure);
        let found = outcome(policies, FireFacts { before, ..NEW });
        assert_eq!(found, expected, "{status} {overlap} {after_failure}");
        assert_eq!(may_go_on(policies, before), expected == "launch", "{status} {overlap} {after_failure}");
    }
    assert_eq!(outcome(DEFAULTS, FireFacts { waiting: 1, ..NEW }), "WAITING", "in the order of the fires");
    assert_eq!(outcome(with(Overlap::Allow, AfterFailure::GoOn), FireFacts { waiting: 1, ..NEW }), "launch");
    assert_eq!(outcome(DEFAULTS, FireFacts { waiting: MOST_WAITING, ..NEW }), "SKIPPED");
}

#[test]
fn a_launch_that_is_refused_is_recorded_and_a_store_that_fails_records_nothing() {
    let id = ExecutionId(3);
    let of = |error: LaunchError| refused(&error).map(|(outcome, _)| outcome);
    assert_eq!(of(LaunchError::QueueFull { limit: 1 }), Some(FireOutcome::Waiting));
    assert_eq!(of(LaunchError::AlreadyRunning { execution_id: id }), Some(FireOutcome::AlreadyRunning));
    assert_eq!(of(LaunchError::Abandoned { execution_id: id }), Some(FireOutcome::AlreadyFailed));
    assert_eq!(of(LaunchError::NoRunNumber { greatest: 1 }), Some(FireOutcome::Refused));
    assert_eq!(of(LaunchError::NotLast { execution_id: id, last: None }), Some(FireOutcome::Refused));
    assert_eq!(of(crate::repository::RepositoryError::InUse.into()), None);
}

#[test]
fn a_fire_is_late_at_a_deadline_unless_its_work_is_where_it_should_be() {
    let is_late = |kind, outcome, has_started, status| late(kind, outcome, has_started, status).is_some();
    use DeadlineKind::{Finished, Started};
    use FireOutcome::{AlreadyComplete, Launched, Skipped, Waiting};
    assert!(is_late(Started, Waiting, false, None), "whether or not there is an execution");
    assert!(is_late(Started, Launched, false, Some(Status::Starting)));
    assert!(!is_late(Started, Launched, true, Some(Status::Started)));
    assert!(!is_late(Started, Launched, true, Some(Status::Failed)));
    assert!(is_late(Finished, Launched, true, Some(Status::Started)));
    assert!(is_late(Finished, Launched, true, Some(Status::Failed)));
    assert!(!is_late(Finished, Launched, true, Some(Status::Completed)));
    assert!(!is_late(Finished, AlreadyComplete, false, None));
    assert!(!is_late(Started, Skipped, false, None));
    let both = Schedule::cron("* * * * *").started_by(Duration::from_secs(60)).finished_by(Duration::from_secs(3_600));
    let of = deadlines(&both, at("2026-01-01T00:00:00Z"));
    assert_eq!(of, [(Started, at("2026-01-01T00:01:00Z")), (Finished, at("2026-01-01T01:00:00Z"))]);
}
