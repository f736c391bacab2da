//! Metrics for Prometheus, collected at the scrape: sums of this node, and what the whole database has to do.

use std::fmt::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use jiff::Timestamp;
use oxbatch_core::engine::{DURATION_BOUNDS, JobTotals, NodeTotals};
use oxbatch_core::execution::{Counters, Status, cause_chain};
use oxbatch_core::repository::{PoolStatus, Workload};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::error::Problem;
use crate::extract::{NoQuery, Strict};
use crate::requests::RequestSums;
use crate::state::AppState;

/// The time that a scrape gives the repository: without its answer the rest is shown.
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// The label of executions whose job this service does not declare, so that labels are bounded.
const OTHER_JOB: &str = "(other)";
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Show metrics for Prometheus.
///
/// Sums of this node since its start, by declared job; what waits and runs in the whole database; connections;
/// requests. When the repository does not answer within two seconds, `oxbatch_repository_up` is 0 and the rest is
/// shown.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "get_metrics",
    responses((status = 200, description = "The metrics in the text format of OpenMetrics", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"))
)]
pub(crate) async fn scrape(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<impl IntoResponse, Problem> {
    let engine = state.engine();
    let workload = match tokio::time::timeout(ASK_WITHIN, engine.repository().workload()).await {
        Ok(Ok(workload)) => Some(workload),
        Ok(Err(error)) => {
            tracing::warn!(cause = cause_chain(&error), "metrics are shown without the repository's");
            None
        }
        Err(_) => {
            tracing::warn!("metrics are shown without the repository's: it does not answer in time");
            None
        }
    };
    let scrape = Scrape {
        totals: engine.totals(),
        workload,
        now: engine.config().clock.now(),
        running: engine.running_count(),
        slots: engine.config().concurrency,
        version: engine.config().version.clone(),
        pool: engine.repository().pool(),
        requests: state.sums().all(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Problem::internal(Arc::<str>::from(error.to_string())))?;
    Ok(([(CONTENT_TYPE, TYPE)], text))
}

/// The values of one scrape.
#[derive(Debug)]
struct Scrape {
    totals: NodeTotals,
    /// The executions of the whole database that have not ended; `None` when it did not answer.
    workload: Option<Vec<Workload>>,
    now: Timestamp,
    running: usize,
    slots: usize,
    version: String,
    pool: Option<PoolStatus>,
    requests: Vec<RequestSums>,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut out = Out { encoder: &mut encoder };
        out.gauges("oxbatch_build", "The version of this node.", [([("version", self.version.as_str())], 1.0)])?;
        self.jobs(&mut out)?;
        self.node(&mut out)?;
        self.database(&mut out)?;
        self.http(&mut out)
    }
}

impl Scrape {
    /// Sums of what has run on this node.
    fn jobs(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let jobs = || self.totals.jobs.iter().map(|(name, totals)| (name.as_str(), totals));
        let ended = jobs().flat_map(|(job, totals)| {
            let statuses = [Status::Completed, Status::Failed, Status::Stopped].into_iter();
            statuses.map(move |status| {
                ([("job_name", job), ("status", status.as_str())], totals.ended.get(&status).copied().unwrap_or(0))
            })
        });
        out.counters("oxbatch_executions_ended", "Executions that have ended on this node.", ended)?;
        out.durations(
            "oxbatch_execution_duration_seconds",
            "Durations of executions that have ended on this node.",
            jobs(),
        )?;
        let items = jobs().flat_map(|(job, totals)| {
            let Counters { read, write, filter, .. } = totals.counters;
            let outcomes =
                [("read", read), ("written", write), ("filtered", filter), ("skipped", totals.counters.skip())];
            outcomes.into_iter().map(move |(outcome, count)| ([("job_name", job), ("outcome", outcome)], whole(count)))
        });
        out.counters("oxbatch_items", "Items of chunk steps on this node, as of their last commits.", items)?;
        let chunks = jobs().flat_map(|(job, totals)| {
            let Counters { commit, rollback, .. } = totals.counters;
            let outcomes = [("committed", commit), ("rolled_back", rollback)];
            outcomes.into_iter().map(move |(outcome, count)| ([("job_name", job), ("outcome", outcome)], whole(count)))
        });
        out.counters("oxbatch_chunks", "Chunks on this node.", chunks)?;
        let retries = jobs().map(|(job, totals)| ([("job_name", job)], whole(totals.counters.retry)));
        out.counters("oxbatch_retries", "Additional attempts made on this node.", retries)
    }

    fn node(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let NodeTotals { lost_leases, recovered, repository_troubles, .. } = self.totals;
        let one = |count| [([("node", "this")], count)];
        out.counters("oxbatch_leases_lost", "Executions that this node lost to another one.", one(lost_leases))?;
        out.counters(
            "oxbatch_executions_recovered",
            "Executions of dead owners that this node ended.",
            one(recovered),
        )?;
        out.counters("oxbatch_repository_errors", "Background failures of the repository.", one(repository_troubles))?;
        let slots = [([("state", "used")], float(self.running)), ([("state", "all")], float(self.slots))];
        out.gauges("oxbatch_slots", "Executions that run on this node, and that may.", slots)?;
        let Some(PoolStatus { limit, used, waiting }) = self.pool else { return Ok(()) };
        let connections = [("limit", limit), ("used", used), ("waiting", waiting)];
        let connections = connections.map(|(state, count)| ([("state", state)], float(count)));
        out.gauges("oxbatch_connections", "Connections to the repository, and callers that wait for one.", connections)
    }

    /// The work of the whole database.
    fn database(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let is_up = if self.workload.is_some() { 1.0 } else { 0.0 };
        out.gauges("oxbatch_repository_up", "1 if the repository answers.", [([("node", "this")], is_up)])?;
        let Some(workload) = &self.workload else { return Ok(()) };
        let mut counts = std::collections::BTreeMap::<(&str, &'static str), i64>::new();
        for job in self.totals.jobs.keys() {
            for status in [Status::Starting, Status::Started, Status::Stopping] {
                counts.insert((job, status.as_str()), 0);
            }
        }
        for Workload { job_name, status, count, .. } in workload {
            let job = if self.totals.jobs.contains_key(job_name) { job_name.as_str() } else { OTHER_JOB };
            *counts.entry((job, status.as_str())).or_default() += count;
        }
        let running =
            counts.iter().map(|((job, status), count)| ([("job_name", *job), ("status", *status)], float(*count)));
        out.gauges("oxbatch_executions", "Executions in the whole database that have not ended.", running)?;
        let waiting = || workload.iter().filter(|one| one.status == Status::Starting);
        let length = waiting().map(|one| one.count).sum::<i64>();
        out.gauges("oxbatch_queue_length", "Launches that wait for a slot.", [([("of", "all")], float(length))])?;
        let age = |oldest: Timestamp| self.now.duration_since(oldest).as_secs_f64().max(0.0);
        let age = waiting().map(|one| one.oldest).min().map_or(0.0, age);
        out.gauges("oxbatch_queue_oldest_seconds", "Age of the launch that waits longest.", [([("of", "all")], age)])
    }

    fn http(&self, out: &mut Out<'_, '_>) -> Result<(), Error> {
        let labels = |sums: &RequestSums| {
            [("method", sums.method.to_owned()), ("path", sums.path.clone()), ("status", sums.status.to_string())]
        };
        let counts = self.requests.iter().map(|sums| (labels(sums), sums.count));
        out.counters("oxbatch_http_requests", "Requests that were answered, by the pattern of their path.", counts)?;
        let seconds = self.requests.iter().map(|sums| (labels(sums), sums.time.as_secs_f64()));
        out.float_counters("oxbatch_http_request_seconds", "Time that requests took.", seconds)
    }
}

/// A counter that is stored as a signed number.
fn whole(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A number as a gauge has it.
fn float(number: impl TryInto<i32>) -> f64 {
    number.try_into().map_or(f64::MAX, f64::from)
}

/// The text that is written.
struct Out<'a, 'b> {
    encoder: &'a mut DescriptorEncoder<'b>,
}

impl Out<'_, '_> {
    fn counters<K: AsRef<str>, V: AsRef<str>, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(K, V); N], u64)>,
    ) -> Result<(), Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let labels = labels.each_ref().map(|(name, value)| (name.as_ref(), value.as_ref()));
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn float_counters<K: AsRef<str>, V: AsRef<str>, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(K, V); N], f64)>,
    ) -> Result<(), Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let labels = labels.each_ref().map(|(name, value)| (name.as_ref(), value.as_ref()));
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    fn gauges<K: AsRef<str>, V: AsRef<str>, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(K, V); N], f64)>,
    ) -> Result<(), Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            let labels = labels.each_ref().map(|(name, value)| (name.as_ref(), value.as_ref()));
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn durations<'c>(
        &mut self,
        name: &str,
        help: &str,
        jobs: impl Iterator<Item = (&'c str, &'c JobTotals)>,
    ) -> Result<(), Error> {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (job, totals) in jobs {
            let bounds = DURATION_BOUNDS.into_iter().chain([f64::INFINITY]);
            let classes: Vec<(f64, u64)> = bounds.zip(totals.durations).collect();
            let count = totals.durations.iter().sum();
            let labels = [("job_name", job)];
            let mut of_job = metric.encode_family(&labels)?;
            of_job.encode_histogram::<NoLabelSet>(totals.duration.as_secs_f64(), count, &classes, None)?;
        }
        Ok(())
    }
}
