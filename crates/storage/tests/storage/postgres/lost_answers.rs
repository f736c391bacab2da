//! A connection is lost while something is committed: what became of it is found out, never guessed, never doubled.

use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::conformance::fixture::{JOB, LONG, admitted, known, outcome, save, step_of, step_outcome};
use oxbatch_core::execution::{Counters, Status, StatusEvent};
use oxbatch_core::repository::{
    ChunkTransaction, ClaimRequest, Executions, FirstStep, History, JobRepository, LastOutcome, Node, RepositoryError,
    RunLimits, StepFence, StepStart,
};
use oxbatch_storage::{PostgresChunkTransaction, PostgresRepository, PostgresSettings};
use oxbatch_test_postgres::{Cut, Proxy, TestDatabase};

use super::{launch_of, open};

const CUTS: [Cut; 2] = [Cut::Before("COMMIT"), Cut::Behind("COMMIT")];
/// In the messages of the statement that saves a chunk, its state.
const SAVES: [Cut; 2] = [Cut::Before("marked"), Cut::Behind("marked")];

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_whose_answer_is_lost_is_made_once() {
    let database = TestDatabase::new();
    let proxy = Proxy::before(database.url());
    let repository = open(proxy.url()).await;
    for (key, cut) in (1..).zip(CUTS) {
        proxy.cut(cut);
        let launched = repository.launch(launch_of(key)).await.unwrap();
        assert!(proxy.has_cut() && !launched.replayed, "{cut:?}");
        let count = format!("SELECT count(*) FROM oxbatch_job_execution WHERE id = {}", launched.execution.id);
        assert_eq!(database.query(&count), ["1"], "{cut:?}");
    }
    assert_eq!(database.query("SELECT count(*) FROM oxbatch_job_execution"), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_and_an_end_whose_answers_are_lost_happen_once() {
    let database = TestDatabase::new();
    let proxy = Proxy::before(database.url());
    let repository = open(proxy.url()).await;
    let node = Node::new("node");
    for (key, cut) in (1..).zip(CUTS) {
        let id = repository.launch(launch_of(key)).await.unwrap().execution.id;
        let jobs = Arc::new(known(["Job"], "{}"));
        let request = ClaimRequest {
            node: node.clone(),
            lease: LONG,
            jobs,
            limits: RunLimits::default(),
            time: jiff::Timestamp::now(),
            only: None,
        };
        proxy.cut(cut);
        let claimed = repository.claim(request).await.unwrap().unwrap();
        assert!(proxy.has_cut());
        assert_eq!((claimed.execution.id, claimed.lease.epoch), (id, 1), "{cut:?}");
        let StepStart::Run(step) = repository.start_step(&claimed.lease, step_of("Step")).await.unwrap() else {
            panic!("it runs")
        };
        proxy.cut(cut);
        repository.finish_step(&step.fence, step_outcome(StatusEvent::Complete)).await.unwrap();
        assert!(proxy.has_cut());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_with_its_step_and_an_end_with_its_step_happen_once_though_their_answers_are_lost() {
    let database = TestDatabase::new();
    let proxy = Proxy::before(database.url());
    let repository = open(proxy.url()).await;
    let first = FirstStep { step_name: "Step".to_owned(), rerun_if_complete: false, start_limit: None };
    let jobs = Arc::new(known([JOB], "{}").with_first_steps([(JOB.to_owned(), first)]));
    for (key, cut) in (1..).zip(CUTS) {
        let id = repository.launch(launch_of(key)).await.unwrap().execution.id;
        let request = ClaimRequest {
            node: Node::new("node"),
            lease: LONG,
            jobs: Arc::clone(&jobs),
            limits: RunLimits::default(),
            time: jiff::Timestamp::now(),
            only: None,
        };
        proxy.cut(cut);
        let claimed = repository.claim(request).await.unwrap().unwrap();
        assert!(proxy.has_cut());
        let begun = claimed.begun.unwrap();
        let steps = repository.steps(id).await.unwrap();
        assert_eq!((steps.len(), steps[0].id), (1, begun.fence.step_id), "{cut:?}");
        proxy.cut(cut);
        let event = StatusEvent::Complete;
        let ends = LastOutcome { step: step_outcome(event), execution: outcome(event, false) };
        let ended = repository.finish_last_step(&begun.fence, ends).await.unwrap();
        assert!(proxy.has_cut());
        let execution = ended.execution.unwrap();
        assert_eq!((ended.step.status, execution.status), (Status::Completed, Status::Completed), "{cut:?}");
        assert_eq!(repository.execution(id).await.unwrap(), Some(execution));
    }
}

/// A step that runs, in a repository behind a proxy.
async fn running(repository: &dyn JobRepository) -> StepFence {
    running_as(repository, 1).await
}

async fn running_as(repository: &dyn JobRepository, key: i64) -> StepFence {
    let request = admitted(launch_of(key), |admission| admission.claim = Some((Node::new("node"), LONG)));
    let lease = repository.launch(request).await.unwrap().lease.unwrap();
    match repository.start_step(&lease, step_of("Step")).await.unwrap() {
        StepStart::Run(started) => started.fence,
        other => panic!("{other:?}"),
    }
}

async fn write(transaction: &mut dyn ChunkTransaction, value: i64) {
    let client = PostgresChunkTransaction::of(transaction).unwrap().client().await.unwrap();
    client.execute("INSERT INTO own (value) VALUES ($1)", &[&value]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_whose_answer_is_lost_is_there_or_is_not_and_its_rows_with_it() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE own (value BIGINT)");
    let proxy = Proxy::before(database.url());
    let repository = open(proxy.url()).await;
    let fence = running(&repository).await;
    let mut transaction = repository.chunk_transaction(&fence).await.unwrap();
    let counters = |commit| Counters { commit, ..Counters::default() };
    write(transaction.as_mut(), 1).await;
    transaction.commit(save("{}", &counters(1))).await.unwrap();

    // It never arrives: the rows are gone with the connection, and the writer is reported to write them again.
    write(transaction.as_mut(), 2).await;
    proxy.cut(Cut::Before("COMMIT"));
    let refused = transaction.commit(save("{}", &counters(2))).await;
    assert!(matches!(refused, Err(RepositoryError::Unavailable { .. })), "{refused:?}");
    transaction.rollback().await.unwrap();
    assert!(transaction.was_lost() && proxy.has_cut());
    write(transaction.as_mut(), 2).await;
    transaction.commit(save("{}", &counters(2))).await.unwrap();

    // Only its answer is lost: it was committed.
    write(transaction.as_mut(), 3).await;
    proxy.cut(Cut::Behind("COMMIT"));
    transaction.commit(save("{}", &counters(3))).await.unwrap();
    assert!(proxy.has_cut());
    write(transaction.as_mut(), 4).await;
    transaction.commit(save("{}", &counters(4))).await.unwrap();
    assert_eq!(database.query("SELECT value FROM own ORDER BY value"), ["1", "2", "3", "4"]);
    assert_eq!(database.query("SELECT commit_count FROM oxbatch_step_execution"), ["4"]);
}

/// In the statement that finds out what became of a save.
const ASKS: Cut = Cut::Before("revision + 2");

#[tokio::test(flavor = "multi_thread")]
async fn a_first_chunk_is_there_once_though_its_answer_is_lost_and_the_question_after_it() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE own (value BIGINT)");
    let proxy = Proxy::before(database.url());
    let repository = open(proxy.url()).await;
    let fence = running(&repository).await;
    let mut transaction = repository.chunk_transaction(&fence).await.unwrap();
    write(transaction.as_mut(), 1).await;
    proxy.cut(Cut::Behind("COMMIT"));
    proxy.cut(ASKS);
    transaction.commit(save("{}", &Counters { commit: 1, ..Counters::default() })).await.unwrap();
    assert!(proxy.has_cut());
    write(transaction.as_mut(), 2).await;
    transaction.commit(save("{}", &Counters { commit: 2, ..Counters::default() })).await.unwrap();
    assert_eq!(database.query("SELECT value FROM own ORDER BY value"), ["1", "2"]);
    assert_eq!(database.query("SELECT commit_count FROM oxbatch_step_execution"), ["2"]);
}

/// The server is away for longer than is waited for it. The chunk was committed: the step FAILS with what the server
/// has kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_whose_fate_is_not_known_in_time_is_not_written_again() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE own (value BIGINT)");
    let proxy = Proxy::before(database.url());
    let settings = PostgresSettings::from_url(proxy.url()).unwrap().with_retry_time(Duration::ZERO);
    let repository = PostgresRepository::open(settings).await.unwrap();
    for chunk in 1..=2 {
        let fence = running_as(&repository, chunk).await;
        let mut transaction = repository.chunk_transaction(&fence).await.unwrap();
        for commit in 1..=chunk {
            write(transaction.as_mut(), commit).await;
            if commit == chunk {
                proxy.cut(Cut::Behind("COMMIT"));
                proxy.cut(ASKS);
            }
            let saved = transaction.commit(save("{}", &Counters { commit, ..Counters::default() })).await;
            assert_eq!(saved.is_ok(), commit < chunk, "{saved:?}");
        }
        assert!(proxy.has_cut());
        transaction.rollback().await.unwrap();
        let again = PostgresChunkTransaction::of(transaction.as_mut()).unwrap().client().await.map(|_| ());
        assert!(matches!(again, Err(RepositoryError::CommitUnknown { .. })), "{again:?}");
        let ended = if chunk == 1 {
            repository.finish_step(&fence, step_outcome(StatusEvent::Fail)).await.unwrap()
        } else {
            let event = StatusEvent::Complete;
            let ends = LastOutcome { step: step_outcome(event), execution: outcome(event, false) };
            let ended = repository.finish_last_step(&fence, ends).await.unwrap();
            assert_eq!(ended.execution, None, "its node has to hear of it first");
            let execution = repository.execution(fence.lease.execution_id()).await.unwrap().unwrap();
            assert_eq!(execution.status, Status::Started);
            ended.step
        };
        assert_eq!((ended.status, ended.counters.commit), (Status::Failed, chunk));
        let rows = format!("SELECT count(*) FROM own WHERE value = {chunk}");
        assert_eq!(database.query(&rows), ["1"]);
        database.execute("DELETE FROM own");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_alone_is_sent_again_until_it_is_there() {
    let database = TestDatabase::new();
    let proxy = Proxy::before(database.url());
    let repository = open(proxy.url()).await;
    let fence = running(&repository).await;
    let mut transaction = repository.chunk_transaction(&fence).await.unwrap();
    for (commit, cut) in (1..).zip([SAVES[0], SAVES[1], SAVES[1], SAVES[0]]) {
        let counters = Counters { commit, ..Counters::default() };
        proxy.cut(cut);
        let ack = transaction.commit(save(r#"{"v":1,"marked":true}"#, &counters)).await.unwrap();
        assert!(!ack.stop_requested && proxy.has_cut(), "{cut:?}");
        let kept = database.query("SELECT commit_count FROM oxbatch_step_execution");
        assert_eq!(kept, [commit.to_string()]);
        // What is rolled back after a commit has failed on its own account.
        transaction.rollback().await.unwrap();
        assert!(!transaction.was_lost(), "{cut:?}");
    }
}

/// The connection dies behind the writer's back: its rows are gone, and the checkpoint must not be saved on another
/// one.
#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_whose_connection_has_died_unseen_is_not_committed_without_its_rows() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE own (value BIGINT)");
    let repository = open(database.url()).await;
    let fence = running(&repository).await;
    let mut transaction = repository.chunk_transaction(&fence).await.unwrap();
    write(transaction.as_mut(), 1).await;
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let client = PostgresChunkTransaction::of(transaction.as_mut()).unwrap().client().await.unwrap();
    let closed = async {
        while !client.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, closed).await.unwrap();
    let refused = transaction.commit(save("{}", &Counters { commit: 1, ..Counters::default() })).await;
    assert!(matches!(refused, Err(RepositoryError::Unavailable { .. })), "{refused:?}");
    transaction.rollback().await.unwrap();
    assert!(transaction.was_lost());
    assert_eq!(database.query("SELECT commit_count FROM oxbatch_step_execution"), ["0"]);
}
