//! The spans of executions and steps, made from what the repository knows of them.

use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status as SpanStatus, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use oxbatch_core::execution::{ExecutionId, TraceParent};
use oxbatch_core::{JobExecution, Status, StepExecution};
use ring::digest::{SHA256, digest};

/// The context of an execution's span. Its trace is that of the caller where the launch named one; else its own.
pub(super) fn context_of(execution: &JobExecution) -> SpanContext {
    let parent = execution.trace_parent;
    // Ids of two databases differ by the moment of the launch.
    let of = |what: &str| {
        let text = format!("{what} {} {}", execution.id, execution.create_time.as_microsecond());
        digest(&SHA256, text.as_bytes())
    };
    let trace_id = parent.map_or_else(|| TraceId::from_bytes(first(of("trace").as_ref())), |it| it.trace_id().into());
    let flags = if parent.is_none_or(TraceParent::is_sampled) { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    SpanContext::new(trace_id, SpanId::from_bytes(first(of("execution").as_ref())), flags, false, TraceState::NONE)
}

/// The span of an execution that has ended.
pub(super) fn of_execution(execution: &JobExecution) -> SpanData {
    let start = execution.start_time.unwrap_or(execution.create_time);
    let end = execution.end_time.unwrap_or(start).max(start);
    let mut attributes = vec![
        KeyValue::new("oxbatch.job", execution.job_name.clone()),
        KeyValue::new("oxbatch.execution", execution.id.0),
        KeyValue::new("oxbatch.instance", execution.instance_id.0),
        KeyValue::new("oxbatch.status", execution.status.as_str()),
        KeyValue::new("oxbatch.queued_seconds", start.duration_since(execution.create_time).as_secs_f64().max(0.0)),
    ];
    attributes.extend(execution.exit_code.clone().map(|code| KeyValue::new("oxbatch.exit_code", code)));
    attributes.extend(execution.node.clone().map(|node| KeyValue::new("oxbatch.node", node)));
    let parent = execution.trace_parent.map(|parent| SpanId::from(parent.span_id()));
    SpanData {
        parent_span_id: parent.unwrap_or(SpanId::INVALID),
        parent_span_is_remote: parent.is_some(),
        span_kind: SpanKind::Consumer,
        status: status(execution.status, execution.id, execution.exit_code.as_deref()),
        ..span(context_of(execution), execution.job_name.clone(), (start.into(), end.into()), attributes)
    }
}

/// The span of a step that has ended, in the span of its execution.
pub(super) fn of_step(step: &StepExecution, execution: &SpanContext, job_name: &str) -> SpanData {
    let digest = digest(&SHA256, format!("step {} {}", step.id, step.start_time.as_microsecond()).as_bytes());
    let id = SpanId::from_bytes(first(digest.as_ref()));
    let context = SpanContext::new(execution.trace_id(), id, execution.trace_flags(), false, TraceState::NONE);
    let counters = step.counters;
    let mut attributes = vec![
        KeyValue::new("oxbatch.job", job_name.to_owned()),
        KeyValue::new("oxbatch.step", step.step_name.clone()),
        KeyValue::new("oxbatch.execution", step.execution_id.0),
        KeyValue::new("oxbatch.status", step.status.as_str()),
        KeyValue::new("oxbatch.iteration", i64::from(step.iteration)),
    ];
    attributes.extend(step.exit_code.clone().map(|code| KeyValue::new("oxbatch.exit_code", code)));
    let counts = [
        ("oxbatch.items.read", counters.read),
        ("oxbatch.items.written", counters.write),
        ("oxbatch.items.filtered", counters.filter),
        ("oxbatch.items.skipped", counters.skip()),
        ("oxbatch.commits", counters.commit),
        ("oxbatch.rollbacks", counters.rollback),
        ("oxbatch.retries", counters.retry),
    ];
    attributes
        .extend(counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| KeyValue::new(name, count)));
    let end = step.end_time.unwrap_or(step.start_time).max(step.start_time);
    SpanData {
        parent_span_id: execution.span_id(),
        status: status(step.status, step.execution_id, step.exit_code.as_deref()),
        ..span(context, step.step_name.clone(), (step.start_time.into(), end.into()), attributes)
    }
}

/// The messages of failures stay in the repository: they may quote the records that failed.
fn status(status: Status, execution: ExecutionId, exit_code: Option<&str>) -> SpanStatus {
    match status {
        Status::Completed => SpanStatus::Ok,
        Status::Failed => {
            let exit_code = exit_code.unwrap_or(status.as_str());
            SpanStatus::error(format!("{exit_code}: oxbatch show {execution} has the reason"))
        }
        _ => SpanStatus::Unset,
    }
}

fn span(
    span_context: SpanContext,
    name: String,
    (start_time, end_time): (SystemTime, SystemTime),
    attributes: Vec<KeyValue>,
) -> SpanData {
    SpanData {
        span_context,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time,
        end_time,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: SpanStatus::Unset,
        instrumentation_scope: InstrumentationScope::builder("oxbatch").with_version(env!("CARGO_PKG_VERSION")).build(),
    }
}

/// The first bytes of a digest.
fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| digest.get(at).copied().unwrap_or_default())
}
