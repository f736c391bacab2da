//! A node is gone without a word, or frozen, in the middle of a chunk: its session is ended, and nobody waits for its
//! rows.

use std::sync::Arc;

use oxbatch_core::conformance::fixture::{LONG, admitted, known, save, step_of};
use oxbatch_core::execution::Counters;
use oxbatch_core::repository::{
    ChunkTransaction, ClaimRequest, Executions, Lease, Node, NodeReport, NodeState, Nodes, RecoverPolicy,
    RecoverRequest, RepositoryError, RunLimits, StepStart,
};
use oxbatch_storage::{PostgresChunkTransaction, PostgresRepository};
use oxbatch_test_postgres::TestDatabase;

use super::{launch_of, open};

async fn begun(repository: &PostgresRepository, lease: &Lease) -> Box<dyn ChunkTransaction> {
    match repository.start_step(lease, step_of("Step")).await.unwrap() {
        StepStart::Run(step) => repository.chunk_transaction(&step.fence).await.unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn write(transaction: &mut dyn ChunkTransaction, value: i64) {
    let client = PostgresChunkTransaction::of(transaction).unwrap().client().await.unwrap();
    client.execute("INSERT INTO own (value) VALUES ($1)", &[&value]).await.unwrap();
}

async fn run(repository: &PostgresRepository, node: &Node, key: i64) -> Lease {
    let request = admitted(launch_of(key), |admission| admission.claim = Some((node.clone(), LONG)));
    repository.launch(request).await.unwrap().lease.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_open_chunk_of_a_dead_node_keeps_no_successor_waiting() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE own (value BIGINT PRIMARY KEY)");
    let (frozen, keeper) = (open(database.url()).await, open(database.url()).await);
    let (dead, alive) = (Node::new("frozen"), Node::new("keeper"));
    let lost = run(&frozen, &dead, 1).await;
    let mut zombie = begun(&frozen, &lost).await;
    write(zombie.as_mut(), 1).await;
    // Another execution of the same node, whose lease goes on.
    let other = run(&frozen, &dead, 2).await;
    let mut unharmed = begun(&frozen, &other).await;
    write(unharmed.as_mut(), 2).await;

    let runs_out = format!(
        "UPDATE oxbatch_job_execution SET lease_deadline = clock_timestamp() - interval '1s' WHERE id = {}",
        lost.execution_id()
    );
    database.execute(&runs_out);
    let request = RecoverRequest {
        node: alive.clone(),
        held: Vec::new(),
        policy: RecoverPolicy::Restart,
        max_recoveries: 3,
        time: jiff::Timestamp::now(),
        only: None,
    };
    let recovered = keeper.recover(request).await.unwrap();
    let [recovered] = &recovered[..] else { panic!("{recovered:?}") };
    assert_eq!(recovered.lost.id, lost.execution_id());
    let claim = ClaimRequest {
        node: alive,
        lease: LONG,
        jobs: Arc::new(known(["Job"], "{}")),
        limits: RunLimits::default(),
        time: jiff::Timestamp::now(),
        only: recovered.successor,
    };
    let successor = keeper.claim(claim).await.unwrap().unwrap().lease;
    let mut next = begun(&keeper, &successor).await;
    let written = async {
        write(next.as_mut(), 1).await;
        next.commit(save("{}", &Counters { commit: 1, ..Counters::default() })).await.unwrap();
    };
    tokio::time::timeout(LONG / 10, written).await.unwrap();
    assert_eq!(database.query("SELECT value FROM own"), ["1"]);

    let counters = Counters { commit: 1, ..Counters::default() };
    let refused = zombie.commit(save("{}", &counters)).await;
    assert!(
        matches!(refused, Err(RepositoryError::LeaseLost { .. } | RepositoryError::Unavailable { .. })),
        "{refused:?}"
    );
    zombie.rollback().await.unwrap();
    write(zombie.as_mut(), 3).await;
    let refused = zombie.commit(save("{}", &counters)).await;
    assert!(matches!(refused, Err(RepositoryError::LeaseLost { .. })), "{refused:?}");
    unharmed.commit(save("{}", &counters)).await.unwrap();
    assert_eq!(database.query("SELECT value FROM own ORDER BY value"), ["1", "2"]);
}

/// Its mark on the machine says that it has died, when its heartbeat still says that it lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_died_stays_gone_when_another_of_its_name_starts() {
    let database = TestDatabase::new();
    let (first, second) = (open(database.url()).await, open(database.url()).await);
    let (dead, next) = (Node::new("node"), Node::new("node"));
    let report = |node: &Node| NodeReport {
        node: node.clone(),
        version: "1".to_owned(),
        jobs: [].into(),
        capacity: 1,
        lease: LONG,
        start_time: jiff::Timestamp::now(),
    };
    first.register_node(&dead).await.unwrap();
    first.heartbeat(&report(&dead)).await.unwrap();
    drop(first);
    for _ in 0..2 {
        second.register_node(&next).await.unwrap();
        second.heartbeat(&report(&next)).await.unwrap();
        let states: Vec<_> =
            second.nodes().await.unwrap().into_iter().map(|it| (it.report.node.boot_id, it.state)).collect();
        assert_eq!(states, [(dead.boot_id, NodeState::Gone), (next.boot_id, NodeState::Live)]);
    }
}

/// With keepalives of the system's own it would notice after two hours.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_notices_soon_that_a_client_on_the_network_is_gone() {
    let database = TestDatabase::new();
    let (head, rest) = database.url().split_once('@').unwrap();
    let (_, port) = rest.rsplit_once(':').unwrap();
    let repository = open(&format!("{head}@127.0.0.1:{port}?sslmode=disable")).await;
    let lease = run(&repository, &Node::new("node"), 1).await;
    let mut transaction = begun(&repository, &lease).await;
    let of_chunk = PostgresChunkTransaction::of(transaction.as_mut()).unwrap().client().await.unwrap();
    let own = repository.connect().await.unwrap();
    for (client, unheard) in [(of_chunk, "30000"), (&own, "0")] {
        let sql = "SELECT concat_ws(' ', (SELECT setting FROM pg_settings WHERE name = 'tcp_keepalives_idle'),
                (SELECT setting FROM pg_settings WHERE name = 'tcp_keepalives_interval'),
                (SELECT setting FROM pg_settings WHERE name = 'tcp_keepalives_count'),
                (SELECT setting FROM pg_settings WHERE name = 'tcp_user_timeout'))";
        let set: String = client.query_one(sql, &[]).await.unwrap().get(0);
        assert_eq!(set, format!("15 5 3 {unheard}"));
    }
}
