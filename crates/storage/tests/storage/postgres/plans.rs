//! On a filled database nothing is searched for by reading a whole table.

use std::sync::Arc;

use oxbatch_core::conformance::fixture::{LONG, admitted, known, outcome, step_of, step_outcome};
use oxbatch_core::execution::{ExecutionId, InstanceId, Status, StatusEvent, StepExecutionId};
use oxbatch_core::repository::{
    Bulks, ClaimRequest, ExecutionFilter, Executions, History, InstanceFilter, JobRepository, Node, PageRequest,
    RecoverPolicy, RecoverRequest, RunLimits, StepStart,
};
use oxbatch_storage::PostgresRepository;
use oxbatch_test_postgres::TestDatabase;

use super::{launch_of, open};

/// 30,000 ended executions of 10,000 instances of 20 jobs, with a step each.
const FILL: &str = "INSERT INTO oxbatch_job_instance (job_name, job_key, create_time)
         SELECT 'Job' || n % 20, 'key' || n, now() - n * interval '1 minute' FROM generate_series(1, 10000) AS n;
     INSERT INTO oxbatch_job_execution (job_instance_id, job_name, status, create_time, start_time, end_time,
             exit_code, parameters, forced)
         SELECT i.id, i.job_name, CASE n WHEN 3 THEN 'COMPLETED' ELSE 'FAILED' END, i.create_time, i.create_time,
             i.create_time, 'X', '{}', FALSE
         FROM generate_series(1, 3) AS n, oxbatch_job_instance AS i;
     INSERT INTO oxbatch_step_execution (job_execution_id, job_instance_id, step_name, status, start_time, end_time,
             lease_epoch)
         SELECT id, job_instance_id, 'Step', status, create_time, create_time, 1 FROM oxbatch_job_execution;
     VACUUM ANALYZE";

const SCANS: &str = "SELECT relname || ' ' || seq_scan FROM pg_stat_user_tables
     WHERE relname IN ('oxbatch_job_instance', 'oxbatch_job_execution', 'oxbatch_step_execution') ORDER BY relname";

#[tokio::test(flavor = "multi_thread")]
async fn no_list_launch_claim_step_or_recovery_reads_a_whole_table() {
    let database = TestDatabase::new();
    drop(open(database.url()).await);
    for statement in FILL.split(';') {
        database.execute(statement);
    }
    let repository = open(database.url()).await;
    let before = database.query(SCANS);
    let node = Node::new("node");
    let job = Some("Job7".to_owned());
    let some = vec![Status::Failed, Status::Stopped];
    let filter = ExecutionFilter::default;
    let hours_ago = |hours| Some(jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours));
    // Often enough that the server has settled on a plan for whatever the values are.
    for round in 0..8 {
        let page = PageRequest { before: (round % 2 == 1).then_some(15_000), limit: 50 };
        for filter in [
            filter(),
            ExecutionFilter { job_name: job.clone(), ..filter() },
            ExecutionFilter { job_name: Some("Unknown".to_owned()), ..filter() },
            ExecutionFilter { statuses: some.clone(), ..filter() },
            ExecutionFilter { statuses: some.clone(), job_name: job.clone(), ..filter() },
            ExecutionFilter { instance_id: Some(InstanceId(17)), ..filter() },
            ExecutionFilter { ids: (100..160).map(ExecutionId).collect(), ..filter() },
            ExecutionFilter { ids: vec![ExecutionId(17)], statuses: some.clone(), ..filter() },
            ExecutionFilter { from: hours_ago(101), to: hours_ago(100), ..filter() },
            ExecutionFilter { from: hours_ago(1), ..filter() },
        ] {
            repository.executions(filter.clone(), page).await.unwrap();
            repository.count_found(filter, page).await.unwrap();
        }
        repository.contexts(ExecutionId(100 + round), vec![StepExecutionId(100)]).await.unwrap();
        repository.instances(InstanceFilter { job_name: job.clone() }, page).await.unwrap();
        repository.instances(InstanceFilter::default(), page).await.unwrap();
        repository.newest_executions((100..150).map(InstanceId).collect()).await.unwrap();
        repository.execution(ExecutionId(100 + round)).await.unwrap().unwrap();
        repository.steps(ExecutionId(100 + round)).await.unwrap();
        repository.instance_parameters(InstanceId(100)).await.unwrap();
        let launched =
            repository.launch(admitted(launch_of(round), |admission| admission.queue_limit = 1000)).await.unwrap();
        let jobs = Arc::new(known(["Job"], "{}"));
        let claim = ClaimRequest {
            node: node.clone(),
            lease: LONG,
            jobs,
            limits: RunLimits::default(),
            time: jiff::Timestamp::now(),
            only: None,
        };
        let claimed = repository.claim(claim).await.unwrap().unwrap();
        assert_eq!(claimed.execution.id, launched.execution.id);
        repository.renew(&node, vec![claimed.lease.key], LONG).await.unwrap();
        let recovery = RecoverRequest {
            node: node.clone(),
            held: vec![claimed.execution.id],
            policy: RecoverPolicy::Restart,
            max_recoveries: 3,
            time: jiff::Timestamp::now(),
            only: None,
        };
        repository.recover(recovery).await.unwrap();
        let StepStart::Run(step) = repository.start_step(&claimed.lease, step_of("Step")).await.unwrap() else {
            panic!("it runs")
        };
        repository.finish_step(&step.fence, step_outcome(StatusEvent::Complete)).await.unwrap();
        repository.finish_execution(&claimed.lease, outcome(StatusEvent::Complete, false)).await.unwrap();
    }
    close(repository, &database).await;
    assert_eq!(database.query(SCANS), before);
}

/// Closes the repository and waits for the end of its connections: one tells what it did at its end at the latest.
async fn close(repository: PostgresRepository, database: &TestDatabase) {
    repository.close().await.unwrap();
    drop(repository);
    let open =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'oxbatch'";
    let closed = async {
        while database.query(open) != ["0"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, closed).await.unwrap();
}

/// Blocks of the index of changes that were looked at.
const CHANGES_READ: &str = "SELECT idx_blks_read + idx_blks_hit FROM pg_statio_user_indexes
     WHERE indexrelname = 'oxbatch_job_execution_changed'";

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_for_changes_reads_what_has_changed_since_and_no_more() {
    const POLLS: i64 = 20;
    let database = TestDatabase::new();
    drop(open(database.url()).await);
    for statement in FILL.split(';') {
        database.execute(statement);
    }
    let repository = open(database.url()).await;
    let read = || database.query(CHANGES_READ)[0].parse::<i64>().unwrap();
    let before = read();
    let mut position = repository.changes(None, 10).await.unwrap().position;
    for round in 0..POLLS {
        let launched = repository.launch(admitted(launch_of(round), |_| ())).await.unwrap();
        let changes = repository.changes(Some(&position), 10).await.unwrap();
        assert_eq!(changes.executions.iter().map(|one| one.id).collect::<Vec<_>>(), [launched.execution.id]);
        position = changes.position;
    }
    close(repository, &database).await;
    // The whole index has more than a hundred blocks; a launch and a poll go down its levels, each more than once.
    let blocks = read() - before;
    assert!(blocks < POLLS * 20, "{blocks} blocks for {POLLS} launches and polls");
}
