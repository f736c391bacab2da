//! The kit for tests of jobs: whole jobs and single steps, given entries and times, planned failures and deaths.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;

use oxbatch::item::{CsvWriter, FunctionProcessor, IteratorReader};
use oxbatch::testing::{TestJob, TestRun};
use oxbatch::{
    ChunkStep, DecisionFacts, ItemError, Job, ParameterDeclaration, SkipPolicy, Status, StepContext, TaskStep,
};

/// Reads ten numbers of which it cannot process one, writes them into a file, and publishes how many there are.
fn import() -> Job {
    let load = ChunkStep::builder("Load")
        .reader(|_| IteratorReader::new(1..=10_u64))
        .processor(|_| {
            FunctionProcessor::new(|number: u64| match number {
                7 => Err(ItemError::validation("seven is none of ours")),
                number => Ok(Some((number,))),
            })
        })
        .writer(|context| {
            Ok(CsvWriter::<(u64,)>::new(context, context.parameters().string("output")?).without_headers())
        })
        .chunk_size(2)
        .skip(SkipPolicy::new(3));
    Job::builder("Import")
        .parameter(ParameterDeclaration::string("output").default_value("none"))
        .parameter(ParameterDeclaration::date_time("day").default_expression("today").non_identifying())
        .step(load)
        .on("*")
        .to("Publish")
        .step(TaskStep::builder("Publish", publish))
        .build()
        .unwrap()
}

fn publish(context: &StepContext) -> Result<(), oxbatch::BoxError> {
    let already: u64 = context.get_from_job("published")?.unwrap_or(0);
    let attempts: u64 = context.get("attempts")?.unwrap_or(0);
    let loaded = context.step("Load").map_or(0, |load| u64::try_from(load.counters.write).unwrap());
    context.put("attempts", attempts + 1)?;
    context.put_into_job("published", already + loaded)?;
    Ok(())
}

/// The result of a run, whatever happened on its way.
fn outcome(run: &TestRun, file: &Path) -> (Status, String, [i64; 3], usize, Vec<String>, Option<u64>) {
    let load = run.step("Load").counters;
    let history = run.history().iter().map(|entry| format!("{} {}", entry.element, entry.taken)).collect();
    (
        run.status(),
        std::fs::read_to_string(file).unwrap(),
        [load.read, load.write, load.skip()],
        run.skips("Load").len(),
        history,
        run.entry("published"),
    )
}

#[test]
fn a_job_comes_to_the_same_wherever_its_process_dies() {
    let deaths: [fn(TestJob) -> TestJob; 7] = [
        |test| test.kill_before("Load"),
        |test| test.kill_at_chunk("Load", 1),
        |test| test.kill_at_chunk("Load", 4).kill_at_chunk("Load", 5),
        |test| test.kill_after("Load"),
        |test| test.kill_before("Publish"),
        |test| test.kill_after("Publish"),
        |test| test.kill_at_end(),
    ];
    let new = || TestJob::new(&import()).path_parameter("output", "numbers.csv");
    let mut undisturbed = new();
    let expected = outcome(&undisturbed.run(), &undisturbed.path("numbers.csv"));
    assert_eq!(expected.1, "1\n2\n3\n4\n5\n6\n8\n9\n10\n");
    assert_eq!((expected.0, expected.2, expected.5), (Status::Completed, [10, 9, 1], Some(9)));
    for (number, death) in deaths.into_iter().enumerate() {
        let mut test = death(new());
        let run = test.run();
        assert_eq!(outcome(&run, &test.path("numbers.csv")), expected, "death {number}");
        let died = run.executions().iter().filter(|execution| execution.exit_code.as_deref() == Some("ABORTED"));
        assert_eq!(died.count(), if number == 2 { 2 } else { 1 }, "death {number}");
    }
}

#[test]
fn a_planned_failure_ends_its_run_and_the_next_one_resumes_it() {
    let mut test = TestJob::new(&import())
        .path_parameter("output", "numbers.csv")
        .fail_chunk("Load", 3)
        .kill_at_chunk("Load", 4)
        .fail_step("Publish");
    let run = test.run();
    assert_eq!((run.status(), run.step("Load").status), (Status::Failed, Status::Failed), "{}", run.message());
    assert!(run.message().contains("planned by the test"), "{}", run.message());
    assert_eq!(run.step("Load").counters.write, 4);
    assert_eq!(run.ran(), ["Load", "Publish"], "the failure is handled, and the step behind it was to fail");
    let run = test.run();
    assert_eq!(run.status(), Status::Completed, "{}", run.message());
    assert_eq!((run.ran(), run.executions().len()), (vec!["Publish"], 1));
    let anew = test.run_anew();
    assert_eq!((anew.status(), anew.step("Load").counters.write), (Status::Completed, 9));
    assert_eq!(anew.ran(), ["Load", "Load", "Publish"], "the fourth chunk that it was about to write is one of these");
}

#[test]
fn a_step_runs_alone_with_the_entries_that_it_is_given() {
    let run =
        TestJob::step_of(&import(), "Publish").job_entry("published", 40).step_entry("Publish", "attempts", 2).run();
    assert_eq!((run.status(), run.ran()), (Status::Completed, vec!["Publish"]));
    assert_eq!(run.entry::<u64>("published"), Some(40));
    assert_eq!(run.step("Publish").context.get::<u64>("attempts").unwrap(), Some(3));
    assert_eq!(run.history(), []);
    let run = TestJob::step(TaskStep::builder("Fails", |_| Err::<(), oxbatch::BoxError>("always".into()))).run();
    assert_eq!((run.status(), run.exit_code()), (Status::Failed, "FAILED"));
    assert_eq!(run.message(), "step 'Fails' failed: always");
}

#[test]
fn launches_see_the_time_that_the_test_gives() {
    let job = Job::builder("Dated")
        .parameter(ParameterDeclaration::date_time("day").default_expression("yesterday in UTC"))
        .decider("Day", |facts: &DecisionFacts| Ok(facts.parameters().date_time("day")?.date().to_string()))
        .step(TaskStep::builder("Nothing", |_| Ok(())))
        .build()
        .unwrap();
    let run = TestJob::new(&job).at("2026-03-01T12:00:00Z".parse().unwrap()).run();
    assert_eq!(run.history()[0].exit_code, "2026-02-28");
}

#[tokio::test]
async fn a_test_with_a_runtime_of_its_own_may_run_jobs() {
    let mut test = TestJob::step(TaskStep::builder("Nothing", |_| Ok(())));
    assert_eq!(test.run().status(), Status::Completed);
}

#[test]
#[should_panic(expected = "job 'Import' has no step 'Lod'")]
fn a_step_that_there_is_not_is_named() {
    let _ = TestJob::new(&import()).fail_step("Lod");
}

#[test]
#[should_panic(expected = "job 'Import' cannot be launched")]
fn parameters_that_the_job_refuses_are_told() {
    TestJob::new(&import()).parameter("ouput", "x").run();
}

#[test]
#[should_panic(expected = "has not ended within")]
fn a_run_that_hangs_is_ended() {
    let step = TaskStep::builder_async("Hangs", async |context: StepContext| {
        context.stopping().await;
        Ok(())
    });
    TestJob::step(step).at_most(std::time::Duration::from_millis(20)).run();
}
