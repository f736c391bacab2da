//! The span of whoever calls the program: the environment variable `TRACEPARENT`, as OpenTelemetry has it.

use oxbatch_core::execution::TraceParent;

/// The caller's span; a text that is not valid is ignored.
pub(crate) fn trace_parent() -> Option<TraceParent> {
    std::env::var("TRACEPARENT").ok()?.parse().ok()
}
