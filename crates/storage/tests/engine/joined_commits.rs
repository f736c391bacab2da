//! The first step begins with the claim, and the last one ends with its execution, unless something comes between them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use oxbatch_core::engine::{Event, EventConsumer};
use oxbatch_core::job::JobBuilder;
use oxbatch_core::listener::{JobContext, JobEnd, JobListener, Listeners};
use oxbatch_core::step::TaskStepBuilder;
use oxbatch_core::{BoxError, Engine, Job, Status, TaskStep};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::harness::{LONG, TestStore, begin, ended, launch, steps};

/// The statuses of the executions, then those of the steps.
const STATUSES: &str = "SELECT status FROM (SELECT 0 AS place, id, status FROM oxbatch_job_execution
    UNION ALL SELECT 1, id, status FROM oxbatch_step_execution) AS stored ORDER BY place, id";

fn stored(place: &TestStore) -> Vec<String> {
    #[cfg(feature = "postgres")]
    if let Some(database) = place.database() {
        return database.query(STATUSES);
    }
    let connection = rusqlite::Connection::open(place.path("oxbatch.db")).unwrap();
    connection.busy_timeout(LONG).unwrap();
    let mut statement = connection.prepare(STATUSES).unwrap();
    let statuses = statement.query_map([], |row| row.get(0)).unwrap();
    statuses.collect::<Result<_, _>>().unwrap()
}

/// Reads, at each event, what the store holds at that moment.
struct Seen {
    place: Arc<TestStore>,
    lines: Mutex<Vec<String>>,
}

impl EventConsumer for Seen {
    fn on_event(&self, event: &Event<'_>) {
        let about = match event {
            Event::ExecutionStarted { .. } => "claimed",
            Event::StepFinished { step } => &step.step_name,
            _ => return,
        };
        let stored = block_in_place(|| stored(&self.place));
        self.lines.lock().unwrap().push(format!("{about}: {}", stored.join(" ")));
    }
}

/// The facts of the store when an execution of the job is claimed, and when each of its steps has ended.
async fn seen(job: JobBuilder) -> Vec<String> {
    let place = Arc::new(TestStore::new());
    let seen = Arc::new(Seen { place: Arc::clone(&place), lines: Mutex::default() });
    let consumer = Arc::clone(&seen) as Arc<dyn EventConsumer>;
    let engine = place.node_with([job.build().unwrap()], |config| config.consumers.push(consumer)).await;
    launch(&engine, "Job").await;
    engine.shutdown().await;
    seen.lines.lock().unwrap().clone()
}

fn step(name: &str) -> TaskStepBuilder {
    TaskStep::builder(name, |_| Ok(()))
}

struct Silent;

impl JobListener for Silent {
    async fn after_job(&self, _: &JobContext, _: &JobEnd) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_one_step_begins_with_its_claim_and_ends_with_its_step() {
    let complete = Job::builder("Job").step(step("One"));
    assert_eq!(seen(complete).await, ["claimed: STARTED STARTED", "One: COMPLETED COMPLETED"]);
    let failing = Job::builder("Job").step(TaskStep::builder("One", |_| Err::<(), _>("broken".into())));
    assert_eq!(seen(failing).await, ["claimed: STARTED STARTED", "One: FAILED FAILED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_steps_the_first_begins_with_the_claim_and_the_last_ends_with_the_execution() {
    let expected = ["claimed: STARTED STARTED", "One: STARTED COMPLETED", "Two: COMPLETED COMPLETED COMPLETED"];
    assert_eq!(seen(Job::builder("Job").step(step("One")).step(step("Two"))).await, expected);
    // A decision says which step it is, so the history is read before the first one.
    let decided = Job::builder("Job").step(step("One")).on("COMPLETED").to("Two").step(step("Two"));
    let expected = ["claimed: STARTED", "One: STARTED COMPLETED", "Two: COMPLETED COMPLETED COMPLETED"];
    assert_eq!(seen(decided).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_and_steps_at_the_end_come_between_a_step_and_its_execution() {
    let listened = Job::builder("Job").step(step("One")).listener(|_| Ok(Listeners::new().job(Silent)));
    assert_eq!(seen(listened).await, ["claimed: STARTED", "One: STARTED COMPLETED"]);
    let finally = Job::builder("Job").step(step("One")).finally(step("Sweep"));
    let expected = ["claimed: STARTED", "One: STARTED COMPLETED", "Sweep: STARTED COMPLETED COMPLETED"];
    assert_eq!(seen(finally).await, expected);
}

/// Asks for a stop in the moment in which the first execution has been claimed.
struct Stopping {
    engine: Arc<OnceLock<Engine>>,
    claims: AtomicUsize,
}

impl EventConsumer for Stopping {
    fn on_event(&self, event: &Event<'_>) {
        let Event::ExecutionStarted { execution } = event else { return };
        if self.claims.fetch_add(1, Ordering::SeqCst) == 0 {
            let engine = self.engine.get().unwrap();
            block_in_place(|| Handle::current().block_on(engine.stop(execution.id))).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_behind_the_claim_ends_the_step_and_calls_nothing_of_it() {
    let place = TestStore::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let one = TaskStep::builder("One", move |_| {
        called.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let engine_of = Arc::new(OnceLock::new());
    let consumer = Arc::new(Stopping { engine: Arc::clone(&engine_of), claims: AtomicUsize::new(0) });
    let job = Job::builder("Job").step(one).build().unwrap();
    let engine = place.node_with([job], |config| config.consumers.push(consumer)).await;
    engine_of.set(engine.clone()).ok().unwrap();
    let id = begin(&engine, "Job").await;
    let stopped = ended(&engine, id).await;
    assert_eq!(stopped.status, Status::Stopped);
    assert_eq!(stopped.exit_message.as_deref(), Some("stopped on request in step 'One'"));
    assert_eq!(steps(&engine, id).await[0].status, Status::Stopped);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(launch(&engine, "Job").await.status, Status::Completed);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    engine.shutdown().await;
}
