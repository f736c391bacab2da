//! Too few connections, and poolers: refused at the start, or waited for within a bound, and a stop is heard.

use std::time::Duration;

use oxbatch_core::conformance::fixture::{LONG, admitted, save, step_of};
use oxbatch_core::execution::{Counters, cause_chain};
use oxbatch_core::repository::{ChunkTransaction, Executions, Node, RepositoryError, StepStart};
use oxbatch_storage::{PostgresRepository, PostgresSettings};
use oxbatch_test_postgres::{TestDatabase, TestServer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::launch_of;

/// Settings of a role of the database that may have four connections: what `connections` 3 needs at most.
fn of_small_role(database: &TestDatabase) -> PostgresSettings {
    let role = format!("small_{}", database.name());
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'small' CONNECTION LIMIT 4; GRANT ALL ON SCHEMA public TO {role}"
    ));
    let (_, server) = database.url().split_once('@').unwrap();
    PostgresSettings::from_url(&format!("postgres://{role}:small@{server}")).unwrap()
}

/// Takes the role away, whose tables would keep it.
fn drop_role(database: &TestDatabase) {
    let role = format!("small_{}", database.name());
    let sessions = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'");
    database.query(&sessions);
    database.execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"));
}

async fn open_transaction(repository: &PostgresRepository) -> Box<dyn ChunkTransaction> {
    let request = admitted(launch_of(1), |admission| admission.claim = Some((Node::new("node"), LONG)));
    let lease = repository.launch(request).await.unwrap().lease.unwrap();
    match repository.start_step(&lease, step_of("Step")).await.unwrap() {
        StepStart::Run(step) => repository.chunk_transaction(&step.fence).await.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_have_too_few_connections_is_refused_at_the_start() {
    let database = TestDatabase::new();
    let settings = of_small_role(&database);
    let refused = PostgresRepository::open(settings.clone().with_connections(4).unwrap()).await.unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("the role of ") && said.contains("allows 4 connections") && said.contains("up to 5"),
        "{said}"
    );
    PostgresRepository::open(settings.with_connections(3).unwrap()).await.unwrap();
    database.execute(&format!("ALTER DATABASE {} CONNECTION LIMIT 3", database.name()));
    drop_role(&database);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_free_connection_is_waited_out_within_a_bound_and_a_stop_is_heard() {
    let database = TestDatabase::new();
    let settings = of_small_role(&database).with_connections(3).unwrap().with_notifications(false);
    let patient = settings.clone().with_retry_time(Duration::from_secs(3600));
    let repository = PostgresRepository::open(patient).await.unwrap();
    let mut transaction = open_transaction(&repository).await;
    // Whatever the pool holds, the rest is taken by somebody else.
    let mut others = Vec::new();
    let quick = settings.with_retry_time(Duration::from_millis(200));
    while let Ok(client) = quick.connect().await {
        others.push(client);
    }
    assert!(!others.is_empty());
    let counters = Counters::default();

    let stop = CancellationToken::new();
    transaction.end_waits_at(stop.clone());
    let begun = Instant::now();
    stop.cancel();
    let saved = transaction.commit(save("{}", &counters)).await;
    assert!(matches!(saved, Err(RepositoryError::WaitStopped { .. })), "{saved:?}");
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    transaction.rollback().await.unwrap();
    assert!(!transaction.was_lost());

    transaction.end_waits_at(CancellationToken::new());
    let (saved, ()) = tokio::join!(transaction.commit(save("{}", &counters)), async {
        // It was refused as well, in the meantime.
        assert!(quick.connect().await.is_err());
        others.clear();
    });
    saved.unwrap();
    drop((transaction, repository));

    // The bound: as long as what may pass is waited for, once.
    let repository = PostgresRepository::open(quick.clone()).await.unwrap();
    let request = admitted(launch_of(2), |admission| admission.claim = Some((Node::new("node"), LONG)));
    let lease = repository.launch(request).await.unwrap().lease.unwrap();
    let StepStart::Run(step) = repository.start_step(&lease, step_of("Step")).await.unwrap() else { panic!() };
    let mut transaction = repository.chunk_transaction(&step.fence).await.unwrap();
    while let Ok(client) = quick.connect().await {
        others.push(client);
    }
    let begun = Instant::now();
    let said = cause_chain(&transaction.commit(save("{}", &counters)).await.unwrap_err());
    assert!(said.contains("too many connections") && said.contains("database.connections"), "{said}");
    transaction.rollback().await.unwrap();
    assert!(!transaction.was_lost() && begun.elapsed() < LONG);
    drop((transaction, repository, others));
    drop_role(&database);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_of_transactions_is_refused_and_one_of_sessions_is_not() {
    for (mode, refused) in [("transaction", true), ("statement", true), ("session", false)] {
        let server = TestServer::start_with(&[("OXBATCH_POSTGRES_POOLER", mode)]);
        let database = TestDatabase::at(server.url());
        let opened = PostgresRepository::open(PostgresSettings::from_url(database.url()).unwrap()).await;
        match opened {
            Err(error) => {
                let said = error.to_string();
                assert!(
                    refused && said.contains("PgBouncer: pool_mode") && said.contains("= session"),
                    "{mode}: {said}"
                );
            }
            Ok(_) => assert!(!refused, "{mode}"),
        }
    }
}
