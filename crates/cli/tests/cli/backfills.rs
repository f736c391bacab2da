//! Backfills through the real binary: planned, begun, watched to their end, cancelled.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{LONG, Service, TestStore};

fn backfill(place: &TestStore, arguments: &[&str], code: i32) -> crate::harness::Done {
    place.finish(place.command("backfill").args(arguments)).expect(code)
}

const RANGE: [&str; 5] = ["ParameterizedJob", "--from", "2026-01-01", "--to", "2026-01-05"];

#[test]
fn past_days_are_planned_launched_and_not_launched_again() {
    for place in TestStore::of_each_kind() {
        let service = Service::start(&place);
        let refused = backfill(&place, &RANGE, 4).stderr;
        assert!(refused.contains("job 'ParameterizedJob' has no schedule"), "{refused}");
        let add = [
            "add",
            "ParameterizedJob",
            "--cron",
            "30 2 * * *",
            "--zone",
            "Europe/Berlin",
            "--expression",
            "day=fire date",
        ];
        place.finish(place.command("schedules").args(add)).expect(0);
        let plan = place.finish(place.command("backfill").args(RANGE).args(["--dry-run"])).expect(0).stdout;
        assert!(plan.contains("5 fires of schedule ParameterizedJob would be launched; nothing was"), "{plan}");
        assert_eq!(plan.matches("missing").count(), 5, "{plan}");
        let remote = format!("http://{}", service.address);
        let begun =
            place.finish(place.command("backfill").args(RANGE).args(["--json", "--server", &remote])).expect(0).json();
        let id = begun["id"].to_string();
        let begin = Instant::now();
        let ended = loop {
            let shown: Value = backfill(&place, &["--show", &id, "--json"], 0).json()[0].clone();
            if shown["state"] == "ENDED" {
                break shown;
            }
            assert!(begin.elapsed() < LONG, "{shown}");
            std::thread::sleep(Duration::from_millis(100));
        };
        assert_eq!((&ended["fires"], &ended["complete"]), (&5.into(), &5.into()), "{ended}");
        let again = backfill(&place, &RANGE, 4).stderr;
        assert!(again.contains("there is nothing to do: none of the 5 fires"), "{again}");
        let all =
            place.finish(place.command("backfill").args(RANGE).args(["--which", "all", "--dry-run"])).expect(0).stdout;
        assert!(all.contains("5 fires of schedule"), "{all}");
        assert!(backfill(&place, &["--cancel", &id], 4).stderr.contains("is ENDED and cannot be cancelled"));
        assert!(backfill(&place, &["--show", "99"], 2).stderr.contains("backfill not found: 99"));
        let wrong = ["ParameterizedJob", "--from", "2026-01-05", "--to", "2026-01-01"];
        assert!(backfill(&place, &wrong, 4).stderr.contains("lies before the first"));
        let no_day = ["ParameterizedJob", "--from", "2026-02-30", "--to", "2026-03-01"];
        assert!(backfill(&place, &no_day, 2).stderr.contains("from must be a day"));
        service.terminate();
    }
}
