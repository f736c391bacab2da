//! The main job on the real data, and on data with errors.

use std::path::Path;

use insta::assert_snapshot;

use crate::harness::{LONG, Service, TestStore};

const HEADER: &str = "Airport Name,Aircraft Make Model,Effect Amount of damage,Flight Date,Aircraft Airline Operator,\
Origin State,Phase of flight,Wildlife Size,Wildlife Species,Time of day,Cost Other,Cost Repair,Cost Total $,\
Speed IAS in knots";

fn real_data() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/birdstrikes.csv")).unwrap()
}

fn with_real_data() -> TestStore {
    let place = TestStore::new();
    std::fs::create_dir(place.path("data")).unwrap();
    place.write("data/birdstrikes.csv", &real_data());
    place
}

#[test]
fn the_import_takes_every_record_exactly_once_and_reports() {
    let place = with_real_data();
    assert_snapshot!("wildlife", place.run("run WildlifeStrikes"));
    assert_snapshot!("wildlife_totals", place.run("show 1"));
    assert_eq!(place.query("SELECT sum(cost_total) FROM wildlife_strikes"), 40_545_276);
    assert_eq!(place.query("SELECT count(*) FROM wildlife_strikes"), 10_000);
    assert_eq!(place.query("SELECT count(*) FROM wildlife_strikes WHERE speed_knots IS NULL"), 2_836);
    assert_eq!(place.query("SELECT count(DISTINCT flight_date) FROM wildlife_strikes"), 3_625);
    let report = place.read("wildlife-report.csv");
    let head: Vec<&str> = report.lines().take(6).collect();
    assert_snapshot!("wildlife_report_head", head.join("\n"));
    let strikes = report.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse::<i64>().unwrap());
    let strikes: Vec<i64> = strikes.collect();
    assert_eq!(strikes.iter().sum::<i64>(), 10_000);
    assert!(strikes.is_sorted_by(|a, b| a >= b), "most strikes first");
    let costs = report.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<i64>().unwrap());
    assert_eq!(costs.sum::<i64>(), place.query("SELECT sum(cost_total) FROM wildlife_strikes"));
}

#[test]
fn on_postgresql_the_import_and_its_report_are_the_same() {
    let (on_sqlite, on_postgres) = (with_real_data(), TestStore::on_postgres());
    std::fs::create_dir(on_postgres.path("data")).unwrap();
    on_postgres.write("data/birdstrikes.csv", &real_data());
    on_sqlite.run("run WildlifeStrikes").expect(0);
    on_postgres.run("run WildlifeStrikes").expect(0);
    let database = on_postgres.database.as_ref().unwrap();
    let query = |sql: &str| database.query(sql).remove(0).parse::<i64>().unwrap();
    assert_eq!(query("SELECT count(*) FROM wildlife_strikes"), 10_000);
    assert_eq!(query("SELECT count(DISTINCT record) FROM wildlife_strikes"), 10_000);
    assert_eq!(query("SELECT count(*) FROM wildlife_strikes WHERE speed_knots IS NULL"), 2_836);
    assert_eq!(query("SELECT sum(cost_total) FROM wildlife_strikes"), 40_545_276);
    assert_eq!(query("SELECT count(DISTINCT flight_date) FROM wildlife_strikes"), 3_625);
    let report = on_postgres.read("wildlife-report.csv");
    assert_eq!(report.lines().count(), 1 + 166);
    assert_eq!(report, on_sqlite.read("wildlife-report.csv"));
    let shown = on_postgres.run("show 1 --json").expect(0).json();
    let counts = |step: usize, count: &str| shown["steps"][step][count].as_i64().unwrap();
    assert_eq!((counts(0, "read_count"), counts(0, "write_count"), counts(0, "commit_count")), (10_000, 10_000, 20));
    assert_eq!((counts(1, "read_count"), counts(1, "write_count")), (166, 166));
    // Again from the start: its rows are replaced.
    on_postgres.run("run WildlifeStrikes --force chunk_size=999").expect(0);
    assert_eq!(query("SELECT count(*) FROM wildlife_strikes"), 10_000);
    assert_eq!(on_postgres.read("wildlife-report.csv"), report);
}

#[test]
fn a_second_run_has_nothing_to_do_and_a_forced_one_replaces_its_rows() {
    let place = with_real_data();
    place.run("run WildlifeStrikes").expect(0);
    let report = place.read("wildlife-report.csv");
    assert_snapshot!("wildlife_again", place.run("run WildlifeStrikes"));
    place.run("run WildlifeStrikes --force chunk_size=999").expect(0);
    assert_eq!(place.query("SELECT count(*) FROM wildlife_strikes"), 10_000);
    assert_eq!(place.read("wildlife-report.csv"), report);
}

#[test]
fn what_the_data_needs_is_cleaned() {
    let place = TestStore::new();
    place.write(
        "in.csv",
        &format!(
            "{HEADER}\r\n\
            \" O'HARE  \",B-727,None, 1999-10-19 ,,Illinois,Approach,Small,Rock pigeon,Day,,\"1,565,354\",\" 7 \",\r\n\
            \"A \"\"B\"\" C\",,,2000-01-02,,,,,,,0,0,0,0\r\n"
        ),
    );
    place.run("run WildlifeStrikes input=in.csv output=out").expect(0);
    assert_eq!(
        place.query(
            "SELECT count(*) FROM wildlife_strikes WHERE airport = 'O''HARE' AND flight_date = '1999-10-19'
             AND operator IS NULL AND cost_other IS NULL AND cost_repair = 1565354 AND cost_total = 7 AND speed_knots IS NULL"
        ),
        1
    );
    assert_eq!(place.query("SELECT count(*) FROM wildlife_strikes WHERE airport = 'A \"B\" C' AND record = 2"), 1);
    assert_snapshot!("wildlife_small_report", place.read("out/wildlife-report.csv"));
}

#[test]
fn a_row_that_cannot_be_cleaned_fails_the_step_with_line_and_column() {
    let place = TestStore::new();
    let good = "A,B,None,1999-10-19,C,D,Approach,Small,Rock pigeon,Day,0,0,0,100";
    let rows = |bad: &str| format!("{HEADER}\n{good}\n{bad}\n{good}\n");
    place.write("speed.csv", &rows(&good.replace(",100", ",fast")));
    assert_snapshot!("wildlife_bad_number", place.run("run WildlifeStrikes input=speed.csv"));
    place.write("date.csv", &rows(&good.replace("1999-10-19", "19/10/1999")));
    assert_snapshot!("wildlife_bad_date", place.run("run WildlifeStrikes input=date.csv"));
    place.write("ragged.csv", &rows("A,B,None"));
    assert_snapshot!("wildlife_ragged", place.run("run WildlifeStrikes input=ragged.csv"));
    assert_snapshot!("wildlife_missing", place.run("run WildlifeStrikes input=missing.csv"));
    assert_snapshot!("wildlife_bad_chunk_size", place.run("run WildlifeStrikes input=speed.csv chunk_size=0"));
}

#[test]
fn a_header_alone_gives_an_empty_table_and_a_report_with_a_header() {
    let place = TestStore::new();
    place.write("in.csv", &format!("{HEADER}\n"));
    assert_snapshot!("wildlife_empty", place.run("run WildlifeStrikes input=in.csv"));
    assert_eq!(place.read("wildlife-report.csv"), "species,phase_of_flight,strikes,total_cost,average_speed\n");
}

#[test]
fn sigterm_in_the_middle_of_an_import_stops_it_in_time_and_the_next_start_finishes_it() {
    let place = TestStore::new();
    let data = format!("{}\r\n", real_data());
    let (header, rows) = data.split_once('\n').unwrap();
    place.write("big.csv", &format!("{header}\n{}", rows.repeat(20)));
    let service = Service::start(&place);
    let launched = service.post("/jobs/WildlifeStrikes/launch", r#"{"input":"big.csv"}"#);
    assert_eq!(launched.status, 202, "{}", launched.body);
    service.get_until("/executions/1/steps", |steps| steps[0]["commit_count"].as_i64() > Some(2));
    let mut process = service.process;
    process.signal("TERM");
    let (status, _) = process.end(LONG);
    assert_eq!(status.code(), Some(0));
    let stopped = place.run("show 1 --json").expect(0).json();
    assert_eq!(
        (&stopped["execution"]["status"], &stopped["execution"]["exit_code"]),
        (&"STOPPED".into(), &"SHUTDOWN".into())
    );
    let written = stopped["steps"][0]["write_count"].as_i64().unwrap();
    assert!((1..200_000).contains(&written), "{written}");
    assert_eq!(place.query("SELECT count(*) FROM wildlife_strikes"), written);
    let service = Service::start(&place);
    let ended = service.get_until("/executions?limit=1", |list| list[0]["status"] == "COMPLETED");
    assert_eq!(ended[0]["id"], 2);
    let steps = service.get("/executions/2/steps").json();
    assert_eq!(steps[0]["read_count"], 200_000 - written, "it goes on behind the last chunk");
    service.terminate();
    assert_eq!(place.query("SELECT count(*) FROM wildlife_strikes"), 200_000);
}
