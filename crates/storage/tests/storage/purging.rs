//! A purge by one process beside another that works: nobody waits for long, and nothing fails.

use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::conformance::fixture::{LONG, admitted, launch_of, outcome};
use oxbatch_core::execution::StatusEvent;
use oxbatch_core::repository::{History, JobRepository, Node, PurgeRequest, RepositoryError, purge_in_batches};
use oxbatch_storage::SqliteRepository;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Ended executions: so many that their removal takes a while.
const EXECUTIONS: i64 = 5_000;
/// Most time that a launch takes meanwhile; a batch is far shorter, but the machine may be busy.
const MOST: Duration = Duration::from_secs(3);

/// Ended executions, each of an instance of its own, a tenth of them FAILED.
fn fill(folder: &std::path::Path) {
    let connection = rusqlite::Connection::open(folder.join("oxbatch.db")).unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TEMP TABLE number AS
                 WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {EXECUTIONS})
                 SELECT n, n * 1000000 AS time, iif(n % 10 = 0, 'FAILED', 'COMPLETED') AS status FROM series;
             BEGIN;
             INSERT INTO oxbatch_job_instance (id, job_name, job_key, create_time)
                 SELECT n, 'Old', hex(randomblob(32)), time FROM number;
             INSERT INTO oxbatch_job_execution (id, job_instance_id, job_name, status, create_time, end_time, parameters,
                     forced)
                 SELECT n, n, 'Old', status, time, time, '{{}}', 0 FROM number;
             INSERT INTO oxbatch_step_execution (job_execution_id, job_instance_id, step_name, status, start_time,
                     end_time, lease_epoch)
                 SELECT n, n, 'Step', status, time, time, 1 FROM number;
             COMMIT"
        ))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn launches_of_another_process_go_on_during_a_purge() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap();
    // Two handles have locks of their own, as two processes have.
    let (service, purger): (Arc<dyn JobRepository>, SqliteRepository) = (Arc::new(open()), open());
    fill(folder.path());
    let node = Node::new("service");
    service.register_node(&node).await.unwrap();
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (stop, service) = (stop.clone(), Arc::clone(&service));
        async move {
            let (mut launches, mut longest) = (0, Duration::ZERO);
            while !stop.is_cancelled() {
                let begun = Instant::now();
                let request = admitted(launch_of(launches), |admission| admission.claim = Some((node.clone(), LONG)));
                let lease = service.launch(request).await.unwrap().lease.unwrap();
                longest = longest.max(begun.elapsed());
                service.finish_execution(&lease, outcome(StatusEvent::Complete, false)).await.unwrap();
                launches += 1;
            }
            (launches, longest)
        }
    });
    // Whoever works on the file would have to wait for the whole of it.
    assert!(matches!(purger.compact().await, Err(RepositoryError::InUse)));
    let old = PurgeRequest {
        ended_before: Some(jiff::Timestamp::from_second(1_000_000_000).unwrap()),
        ..PurgeRequest::default()
    };
    let dry = PurgeRequest { dry_run: true, ..old.clone() };
    let promised = purge_in_batches(&purger, dry, &CancellationToken::new()).await.unwrap();
    let report = purge_in_batches(&purger, old, &CancellationToken::new()).await.unwrap();
    stop.cancel();
    let (launches, longest) = working.await.unwrap();
    assert_eq!([promised.executions, report.executions], [EXECUTIONS / 10 * 9; 2]);
    assert!(launches > 5 && longest < MOST, "{launches} launches, the longest took {longest:?}");
    service.close().await.unwrap();
    let compacted = purger.compact().await.unwrap();
    assert!(compacted.after < compacted.before, "{compacted:?}");
}

#[tokio::test]
async fn a_purge_ends_between_two_batches_when_it_is_stopped_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let repository = SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap();
    fill(folder.path());
    let stop = CancellationToken::new();
    stop.cancel();
    let request = PurgeRequest::default();
    let report = purge_in_batches(&repository, request.clone(), &stop).await.unwrap();
    assert!(report.executions > 0 && report.next.is_some(), "{report:?}");
    let rest = PurgeRequest { after: report.next, ..request };
    let rest = purge_in_batches(&repository, rest, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.executions + rest.executions, rest.next), (EXECUTIONS / 10 * 9, None));
}
