//! Each sample job by `run`.

use insta::assert_snapshot;

use crate::harness::{TestStore, stable_json};

#[test]
fn the_sample_job_runs_both_steps_and_then_has_nothing_to_do() {
    let place = TestStore::new();
    assert_snapshot!("sample_job", place.run("run SampleJob"));
    assert_snapshot!("sample_job_again", place.run("run SampleJob"));
    assert_snapshot!("sample_job_forced", place.run("run SampleJob --force"));
}

#[test]
fn the_failing_job_fails_and_a_restart_skips_its_first_step() {
    let place = TestStore::new();
    assert_snapshot!("failing_job", place.run("run FailingJob"));
    assert_snapshot!("failing_job_again", place.run("run FailingJob"));
    assert_snapshot!("failing_job_restart", place.run("restart 2"));
    assert_snapshot!("failing_job_forced", place.run("run FailingJob --force"));
}

#[test]
fn the_retry_job_succeeds_after_two_failures_in_each_execution() {
    let place = TestStore::new();
    let once = place.run("run RetryJob --log-level error");
    assert_snapshot!("retry_job", once);
    let again = place.run("run RetryJob --log-level error --force").expect(0);
    assert!(again.stdout.contains("retries 2"), "{again}");
}

#[test]
fn the_parameterized_job_takes_typed_parameters() {
    let place = TestStore::new();
    assert_snapshot!(
        "parameterized_job",
        place.run("run ParameterizedJob start_date=2024-01-01 batch_size=100 threshold=0.95")
    );
    let execution = &place.run("show 1 --json").expect(0).json()["execution"];
    assert_eq!(
        execution["parameters"],
        serde_json::json!({"start_date": "2024-01-01", "batch_size": 100, "threshold": 0.95})
    );
    assert_snapshot!("parameterized_job_wrong_type", place.run("run ParameterizedJob batch_size=many"));
}

#[test]
fn the_chunk_job_reads_fifty_and_writes_the_even_half_in_five_commits() {
    let place = TestStore::new();
    assert_snapshot!("chunk_job", place.run("run ChunkJob"));
    assert_snapshot!("chunk_job_json", stable_json(place.run("run ChunkJob --force --json").expect(0).json()));
}
