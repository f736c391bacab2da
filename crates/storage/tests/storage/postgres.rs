//! Tests of PostgreSQL alone: answers that are lost, errors of the server, plans of statements.

mod connections;
mod dead_owners;
mod faults;
mod lost_answers;
mod plans;
mod tls;

use oxbatch_core::job::JobParameters;
use oxbatch_core::repository::{Admission, LaunchRequest, RunLimits};
use oxbatch_storage::{PostgresRepository, PostgresSettings};

fn launch_of(key: i64) -> LaunchRequest {
    LaunchRequest {
        job_name: "Job".to_owned(),
        parameters: JobParameters::default().with("key", key),
        force: false,
        new_run: false,
        definition: None,
        accept_changes: false,
        restartable: true,
        admission: Admission {
            time: jiff::Timestamp::now(),
            claim: None,
            priority: 0,
            limits: RunLimits::default(),
            queue_limit: 1_000_000,
        },
        after: None,
        idempotency: None,
        trace_parent: None,
    }
}

async fn open(url: &str) -> PostgresRepository {
    PostgresRepository::open(PostgresSettings::from_url(url).unwrap()).await.unwrap()
}
