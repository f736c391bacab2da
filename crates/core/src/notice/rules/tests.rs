//! Tables of the rules of notices.

use super::*;
use crate::execution::{InstanceId, JobParameters};
use crate::repository::{DeadlineKind, Fire, FireId, FireOutcome, ScheduleId};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn attempts_come_less_often_and_end_after_a_day() {
    let created = at("2026-01-01T00:00:00Z");
    let pause = |attempts| next_attempt(created, attempts, created).unwrap().duration_since(created).as_secs();
    assert_eq!([1, 2, 3, 6, 7, 8, 1_000].map(pause), [5, 10, 20, 160, 300, 300, 300]);
    let (mut now, mut attempts) = (created, 1);
    while let Some(next) = next_attempt(created, attempts, now) {
        (now, attempts) = (next, attempts + 1);
    }
    let lasted = now.duration_since(created);
    assert!(lasted > SignedDuration::from_mins(24 * 60 - 6) && lasted <= GIVE_UP_AFTER, "{lasted}");
    assert!((280..300).contains(&attempts), "{attempts}");
}

fn channel(name: &str, kinds: &[NoticeKind], skips_over: Option<u32>) -> NoticeChannel {
    NoticeChannel { name: name.to_owned(), kinds: kinds.to_vec(), skips_over }
}

fn execution(status: Status, message: Option<&str>) -> JobExecution {
    JobExecution {
        id: ExecutionId(7),
        instance_id: InstanceId(1),
        job_name: "Load".to_owned(),
        status,
        create_time: Timestamp::UNIX_EPOCH,
        start_time: None,
        end_time: Some(Timestamp::UNIX_EPOCH),
        exit_code: None,
        exit_message: message.map(str::to_owned),
        parameters: JobParameters::default(),
        forced: false,
        node: None,
        recovery_count: 0,
        priority: 0,
        rerun_of: None,
        rerun_by: None,
        change_time: Timestamp::UNIX_EPOCH,
        trace_parent: None,
    }
}

#[test]
fn an_end_makes_the_notices_of_its_row_in_this_table() {
    use NoticeKind::{Failed, Recovered, Skips};
    let channels = [
        channel("all", &[Failed, Recovered], None),
        channel("late", &[NoticeKind::Late], None),
        channel("skips", &[], Some(2)),
    ];
    // Status, whether it goes on, the status before it, skipped items; what is written.
    type Row = (Status, bool, Option<Status>, i64, &'static [(&'static str, NoticeKind)]);
    let rows: &[Row] = &[
        (Status::Failed, false, None, 0, &[("all", Failed)]),
        (Status::Failed, false, Some(Status::Completed), 3, &[("all", Failed), ("skips", Skips)]),
        (Status::Failed, true, None, 3, &[]),
        (Status::Completed, false, None, 2, &[]),
        (Status::Completed, false, None, 3, &[("skips", Skips)]),
        (Status::Completed, false, Some(Status::Failed), 0, &[("all", Recovered)]),
        (Status::Completed, false, Some(Status::Stopped), 0, &[]),
        (Status::Stopped, false, Some(Status::Failed), 9, &[]),
        (Status::Stopped, true, Some(Status::Failed), 9, &[]),
    ];
    for (status, goes_on, previous, skipped, expected) in rows {
        let execution = execution(*status, Some("no disk"));
        let facts = EndFacts { execution: &execution, goes_on: *goes_on, previous: *previous, skipped: *skipped };
        let notices = of_end(facts, &channels);
        let found: Vec<_> = notices.iter().map(|notice| (notice.channel.as_str(), notice.kind)).collect();
        assert_eq!(found, *expected, "{status} {goes_on} {previous:?} {skipped}");
        assert!(notices.iter().all(|notice| notice.execution_id == Some(ExecutionId(7)) && notice.job_name == "Load"));
    }
}

#[test]
fn sentences_name_what_has_happened_and_are_cut_between_characters() {
    let all = [channel("all", NoticeKind::ALL, Some(1))];
    let of = |status, message: Option<&str>, skipped| {
        let execution = execution(status, message);
        let facts = EndFacts { execution: &execution, goes_on: false, previous: Some(Status::Failed), skipped };
        of_end(facts, &all).into_iter().map(|notice| notice.message).collect::<Vec<_>>()
    };
    assert_eq!(of(Status::Failed, Some("no disk"), 0), ["execution 7 of job 'Load' has failed: no disk"]);
    assert_eq!(of(Status::Failed, None, 0), ["execution 7 of job 'Load' has failed: it gives no reason"]);
    assert_eq!(
        of(Status::Completed, None, 5),
        [
            "execution 7 of job 'Load' is complete; the one before it had failed",
            "execution 7 of job 'Load' has skipped 5 items, more than the limit of 1",
        ]
    );
    let long = of(Status::Failed, Some(&"ä".repeat(5_000)), 0).remove(0);
    assert!((1_999..2_100).contains(&long.len()), "{}", long.len());
}

#[test]
fn missed_and_late_fires_are_said_once_for_each_channel_that_wants_them() {
    let channels = [channel("a", NoticeKind::ALL, None), channel("b", &[NoticeKind::Failed], None)];
    let (first, last) = (at("2026-01-01T02:30:00Z"), at("2026-01-03T02:30:00Z"));
    let missed = |count| MissedFires { schedule: "nightly", job_name: "Load", first, last, count };
    let [several] = &of_missed(missed(3), &channels)[..] else { panic!("one channel") };
    assert_eq!(
        several.message,
        "schedule 'nightly' has missed 3 fires from 2026-01-01T02:30:00Z to 2026-01-03T02:30:00Z"
    );
    assert_eq!((several.instant, several.kind, several.channel.as_str()), (Some(last), NoticeKind::Missed, "a"));
    let one = of_missed(missed(1), &channels).remove(0);
    assert_eq!(one.message, "schedule 'nightly' has missed its fire at 2026-01-01T02:30:00Z");

    let fire = Fire {
        id: FireId(1),
        schedule_id: ScheduleId(1),
        schedule_name: "nightly".to_owned(),
        job_name: "Load".to_owned(),
        instant: first,
        file: String::new(),
        outcome: FireOutcome::Launched,
        message: None,
        execution_id: Some(ExecutionId(7)),
        status: Some(Status::Started),
        backfill_id: None,
        record_time: first,
    };
    let late = LateFire { fire, kind: DeadlineKind::Finished, at: last, message: "it still runs".to_owned() };
    let [notice] = &of_late(&late, &channels)[..] else { panic!("one channel") };
    assert_eq!((notice.execution_id, notice.instant), (Some(ExecutionId(7)), Some(first)));
    assert_eq!(
        notice.message,
        "the fire of schedule 'nightly' at 2026-01-01T02:30:00Z is late at its deadline 2026-01-03T02:30:00Z: it still \
         runs"
    );
}
