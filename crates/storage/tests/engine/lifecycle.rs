//! Nodes that come and go: shutdown, death, recovery, racing launches.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::engine::{LaunchOptions, OperatorError};
use oxbatch_core::item::{FunctionWriter, IteratorReader, ListWriter};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::{LaunchError, RecoverPolicy};
use oxbatch_core::{ChunkStep, Job, Status, TaskStep};

use crate::harness::{LONG, Shared, TestStore, begin, contents, ended, list, steps};

/// Copies numbers; the writer tells of each chunk and, in the first execution, waits for ever after `hold` chunks.
fn copy(out: &Shared<u64>, hold: Option<usize>) -> (Job, std::sync::mpsc::Receiver<usize>) {
    let (tell, told) = channel();
    let (out, tell) = (Arc::clone(out), Arc::new(Mutex::new(tell)));
    let job = Job::builder("Copy")
        .step(
            ChunkStep::builder("Copy")
                .reader(move |context| {
                    let (tell, context) = (Arc::clone(&tell), context.clone());
                    Ok(IteratorReader::new((0..100_u64).inspect(move |n| {
                        let chunk = usize::try_from(n / 10).unwrap();
                        if n % 10 == 0 && Some(chunk) == hold {
                            let _ = tell.lock().unwrap().send(chunk);
                            while !context.is_stopping() {
                                std::thread::park_timeout(Duration::from_millis(1));
                            }
                        }
                    })))
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
                .chunk_size(10),
        )
        .build()
        .unwrap();
    (job, told)
}

async fn told(receiver: std::sync::mpsc::Receiver<usize>) {
    tokio::task::spawn_blocking(move || receiver.recv().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_stops_at_a_chunk_and_the_next_start_resumes_by_itself() {
    let place = TestStore::new();
    let out = list();
    let (job, reached) = copy(&out, Some(3));
    let engine = place.node([job]).await;
    let id = begin(&engine, "Copy").await;
    told(reached).await;
    engine.shutdown().await;
    assert!(matches!(
        engine.launch("Copy", GivenParameters::default(), LaunchOptions::default()).await,
        Err(OperatorError::ShuttingDown)
    ));

    let (job, _reached) = copy(&out, None);
    let engine = place.node([job]).await;
    let first = engine.execution(id).await.unwrap();
    assert_eq!((first.status, first.exit_code.as_deref()), (Status::Stopped, Some("SHUTDOWN")));
    let second = ended(&engine, oxbatch_core::execution::ExecutionId(id.0 + 1)).await;
    assert_eq!((second.status, second.instance_id), (Status::Completed, first.instance_id));
    assert_eq!(contents(&out), (0..100).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn what_a_person_stopped_is_not_resumed_by_the_next_start() {
    let place = TestStore::new();
    let out = list();
    let (job, reached) = copy(&out, Some(3));
    let engine = place.node([job]).await;
    let id = begin(&engine, "Copy").await;
    told(reached).await;
    engine.stop(id).await.unwrap();
    ended(&engine, id).await;
    engine.shutdown().await;
    let (job, _reached) = copy(&out, None);
    let engine = place.node([job]).await;
    let page = oxbatch_core::repository::PageRequest { before: None, limit: 10 };
    let all = engine.repository().executions(Default::default(), page).await.unwrap().executions;
    assert_eq!(all.len(), 1);
    engine.shutdown().await;
}

/// A node that will die: its one place stays taken, since the dead take no work.
async fn mortal(place: &TestStore, job: Job) -> oxbatch_core::Engine {
    place.node_with([job], |config| config.concurrency = 1).await
}

/// A node whose repository is closed under it cannot renew or record anything: to the others it is dead.
async fn die(place: &TestStore, engine: &oxbatch_core::Engine) {
    place.nodes().has_died(engine);
    engine.repository().close().await.unwrap();
}

/// Trap 1: `kill -9` leaves the execution STARTED for ever. The real kill is in the crash test of the binary.
#[tokio::test]
async fn an_execution_of_a_dead_node_is_recovered_by_the_next_start() {
    let place = TestStore::new();
    let out = list();
    let (job, reached) = copy(&out, Some(3));
    let dead = mortal(&place, job).await;
    let id = begin(&dead, "Copy").await;
    told(reached).await;
    die(&place, &dead).await;
    let (job, _reached) = copy(&out, None);
    let engine = place.node([job]).await;
    let lost = engine.execution(id).await.unwrap();
    assert_eq!((lost.status, lost.exit_code.as_deref()), (Status::Failed, Some("ABORTED")));
    assert_eq!(steps(&engine, id).await[0].exit_code.as_deref(), Some("ABORTED"));
    let successor = ended(&engine, oxbatch_core::execution::ExecutionId(id.0 + 1)).await;
    assert_eq!(successor.status, Status::Completed, "{successor:?}");
    assert_eq!(steps(&engine, successor.id).await[0].counters.read, 70);
    engine.shutdown().await;
}

#[tokio::test]
async fn by_policy_a_lost_execution_waits_for_a_person() {
    let place = TestStore::new();
    let out = list();
    let (job, reached) = copy(&out, Some(3));
    let dead = mortal(&place, job).await;
    let id = begin(&dead, "Copy").await;
    told(reached).await;
    die(&place, &dead).await;
    let (job, _reached) = copy(&out, None);
    let engine = place.node_with([job], |config| config.recover = RecoverPolicy::Fail).await;
    assert_eq!(engine.execution(id).await.unwrap().status, Status::Failed);
    assert!(engine.execution(oxbatch_core::execution::ExecutionId(id.0 + 1)).await.is_err());
    let restarted = engine.restart(id).await.unwrap().execution.id;
    let restarted = ended(&engine, restarted).await;
    assert_eq!(restarted.status, Status::Completed, "{restarted:?}");
    engine.shutdown().await;
}

/// An execution that only a person may begin again is not begun by the death of a node.
#[tokio::test]
async fn an_execution_that_is_not_restartable_stays_failed_when_its_node_dies() {
    let place = TestStore::new();
    let (tell, reached) = channel();
    let tell = Mutex::new(Some(tell));
    let once = move || {
        let tell = tell.lock().unwrap().take();
        let step = TaskStep::builder_async("Pay", move |context: oxbatch_core::StepContext| {
            let tell = tell.clone();
            async move {
                if let Some(tell) = tell {
                    tell.send(0)?;
                    context.stopping().await;
                }
                Ok(oxbatch_core::TaskOutcome::Completed)
            }
        });
        Job::builder("Once").restartable(false).step(step).build().unwrap()
    };
    let dead = mortal(&place, once()).await;
    let id = begin(&dead, "Once").await;
    told(reached).await;
    die(&place, &dead).await;
    let engine = place.node([once()]).await;
    let lost = engine.execution(id).await.unwrap();
    assert_eq!((lost.status, lost.exit_code.as_deref()), (Status::Failed, Some("ABORTED")));
    let message = lost.exit_message.unwrap();
    assert!(message.ends_with("its job is not restartable, so nothing resumes it"), "{message}");
    // The recovery is a part of the start: nothing comes behind it.
    let next = oxbatch_core::execution::ExecutionId(id.0 + 1);
    assert!(engine.execution(next).await.is_err(), "nothing has resumed it");
    let launch = |force| {
        let options = LaunchOptions { force, ..LaunchOptions::default() };
        engine.launch("Once", GivenParameters::default(), options)
    };
    let refused = launch(false).await;
    assert!(
        matches!(refused, Err(OperatorError::Launch(LaunchError::NotRestartable { execution_id, .. })) if execution_id == id),
        "{refused:?}"
    );
    let forced = launch(true).await.unwrap().execution.id;
    assert_eq!(ended(&engine, forced).await.status, Status::Completed);
    engine.shutdown().await;
}

/// Trap 5: a live execution is marked FAILED by a recovery without a liveness check.
#[tokio::test]
async fn a_second_node_leaves_a_live_one_alone() {
    let place = TestStore::new();
    let out = list();
    let (job, reached) = copy(&out, Some(3));
    let first = place.node([job]).await;
    let id = begin(&first, "Copy").await;
    told(reached).await;
    let (job, _reached) = copy(&out, None);
    let second = place.node([job]).await;
    assert_eq!(second.execution(id).await.unwrap().status, Status::Started);
    second.shutdown().await;
    assert_eq!(first.execution(id).await.unwrap().status, Status::Started);
    first.shutdown().await;
}

#[tokio::test]
async fn of_64_racing_launches_of_one_instance_one_runs() {
    let place = TestStore::new();
    let out = list();
    let (job, reached) = copy(&out, Some(3));
    let (other_job, _other) = copy(&out, Some(3));
    // Two nodes on one file, as two processes are.
    let engine = place.node([job]).await;
    let other = place.node([other_job]).await;
    let launches = (0..64).map(|n| {
        let engine = if n % 2 == 0 { engine.clone() } else { other.clone() };
        tokio::spawn(async move { engine.launch("Copy", GivenParameters::default(), LaunchOptions::default()).await })
    });
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for launch in launches.collect::<Vec<_>>() {
        match launch.await.unwrap() {
            Ok(launched) => accepted.push(launched.execution.id),
            Err(OperatorError::Launch(LaunchError::AlreadyRunning { execution_id })) => refused.push(execution_id),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((accepted.len(), refused.len()), (1, 63));
    assert!(refused.iter().all(|id| *id == accepted[0]));
    drop(reached);
    engine.stop(accepted[0]).await.unwrap();
    other.stop(accepted[0]).await.ok();
    ended(&engine, accepted[0]).await;
    engine.shutdown().await;
    other.shutdown().await;
}

/// Trap 2: two concurrent restarts of one instance both run.
#[tokio::test]
async fn of_64_racing_restarts_of_one_execution_one_runs() {
    let place = TestStore::new();
    let out = list();
    let (job, reached) = copy(&out, Some(3));
    let engine = place.node([job]).await;
    let id = begin(&engine, "Copy").await;
    told(reached).await;
    engine.stop(id).await.unwrap();
    ended(&engine, id).await;
    // Whether the winner's successor waits, runs or has ended when another asks: that one is refused.
    let asking = place.node_with([copy(&out, None).0], |config| config.take_work = false).await;
    let restarts = (0..64).map(|_| {
        let asking = asking.clone();
        tokio::spawn(async move { asking.restart(id).await })
    });
    let mut accepted = Vec::new();
    for restart in restarts.collect::<Vec<_>>() {
        match restart.await.unwrap() {
            Ok(launched) => accepted.push(launched.execution.id),
            Err(OperatorError::Launch(LaunchError::AlreadyRunning { .. }) | OperatorError::NotRestartable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(accepted, [oxbatch_core::execution::ExecutionId(id.0 + 1)]);
    asking.shutdown().await;
    engine.shutdown().await;
}

#[tokio::test]
async fn a_waiting_launch_survives_the_shutdown_of_the_node_that_answered_it() {
    let place = TestStore::new();
    let job = || Job::builder("Later").step(TaskStep::builder("Later", |_| Ok(()))).build().unwrap();
    let answering = place.node_with([job()], |config| config.take_work = false).await;
    let id = begin(&answering, "Later").await;
    answering.shutdown().await;
    let engine = place.node([job()]).await;
    assert_eq!(ended(&engine, id).await.status, Status::Completed);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_is_bounded_although_a_step_never_returns() {
    let (tell, reached) = channel();
    let tell = Mutex::new(tell);
    let (_never, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let job = Job::builder("Never")
        .step(TaskStep::builder("Never", move |_| {
            tell.lock().unwrap().send(0).unwrap();
            let _ = wait.lock().unwrap().recv();
            Ok(())
        }))
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node_with([job], |config| config.shutdown_timeout = Duration::from_millis(50)).await;
    let id = begin(&engine, "Never").await;
    told(reached).await;
    tokio::time::timeout(LONG, engine.shutdown()).await.unwrap();
    let after = place.node_with([], |config| config.take_work = false).await;
    let execution = after.execution(id).await.unwrap();
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Status::Stopped, Some("SHUTDOWN")));
    after.shutdown().await;
}

#[tokio::test]
async fn a_launch_in_the_foreground_clears_the_way_for_itself() {
    let place = TestStore::new();
    let out = list();
    let (job, reached) = copy(&out, Some(3));
    let dead = mortal(&place, job).await;
    let id = begin(&dead, "Copy").await;
    told(reached).await;
    die(&place, &dead).await;
    let (job, _reached) = copy(&out, None);
    let engine = place.node_with([job], |config| config.take_work = false).await;
    let launch = || engine.launch_here("Copy", GivenParameters::default(), LaunchOptions::default());
    assert!(launch().await.is_err());
    engine.clear_the_way("Copy", GivenParameters::default()).await.unwrap();
    assert_eq!(engine.execution(id).await.unwrap().status, Status::Failed);
    let launched = launch().await.unwrap();
    assert_eq!(ended(&engine, launched.execution.id).await.status, Status::Completed);
    assert_eq!(steps(&engine, launched.execution.id).await[0].counters.read, 70);
    engine.shutdown().await;
}

#[tokio::test]
async fn many_short_executions_end_and_nothing_is_left_running() {
    let jobs = (0..20).map(|n| {
        Job::builder(format!("Job{n}"))
            .step(
                ChunkStep::builder("Count")
                    .reader(|_| Ok(IteratorReader::new(0..50_u64)))
                    .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
                    .chunk_size(1),
            )
            .build()
            .unwrap()
    });
    let place = TestStore::new();
    let engine = place.node(jobs.collect::<Vec<_>>()).await;
    for round in 0..3 {
        let mut ids = Vec::new();
        for n in 0..20 {
            let given = GivenParameters::default().with("round", i64::from(round));
            let launched = engine.launch(&format!("Job{n}"), given, LaunchOptions::default()).await.unwrap();
            ids.push(launched.execution.id);
        }
        for id in ids {
            assert_eq!(ended(&engine, id).await.status, Status::Completed);
        }
    }
    engine.shutdown().await;
}
