//! The links from an execution's span to the spans of what it goes on with: attempts are traces of their own.

use opentelemetry::trace::{Link, SpanContext};
use oxbatch_core::JobExecution;
use oxbatch_core::repository::{ExecutionFilter, JobRepository, PageRequest};

use super::spans;

/// The links to the attempt of the same instance before an execution, and to the one whose items it runs again. Where
/// the repository does not answer there are none.
pub(super) async fn find(execution: &JobExecution, repository: &dyn JobRepository) -> Vec<Link> {
    let mut links: Vec<_> =
        attempt_before(execution, repository).await.map(|context| link(context, "attempt")).into_iter().collect();
    if let Some(of) = execution.rerun_of
        && let Ok(Some(of)) = repository.execution(of).await
    {
        links.push(link(spans::context_of(&of), "rerun"));
    }
    links
}

async fn attempt_before(execution: &JobExecution, repository: &dyn JobRepository) -> Option<SpanContext> {
    let filter = ExecutionFilter { instance_id: Some(execution.instance_id), ..ExecutionFilter::default() };
    let page = PageRequest { before: Some(execution.id.0), limit: 1 };
    let page = repository.executions(filter, page).await.ok()?;
    page.executions.first().map(spans::context_of)
}

fn link(context: SpanContext, of: &'static str) -> Link {
    Link::new(context, vec![opentelemetry::KeyValue::new("oxbatch.link", of)], 0)
}
