//! A service that is reached over HTTP: what the commands ask of it with `--server`.

mod error;
mod http;
mod shapes;
mod token;

use std::collections::HashMap;
use std::fmt::Display;

pub(crate) use error::RemoteError;
use http::Http;
pub(crate) use http::{encode, tls};
use oxbatch_core::execution::{ExecutionId, StoredSkip, TraceParent};
use oxbatch_core::job::ParameterType;
use oxbatch_core::log::{KeptLine, LogPosition};
use oxbatch_core::notice::NoticeId;
use oxbatch_core::repository::{Drain, Missing, NodeStatus};
use oxbatch_core::{JobExecution, StepExecution};
use oxbatch_server::view::{ForecastView, RestartPlanView};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shapes::{
    CountShape, ExecutionShape, InstanceShape, JobShape, LaunchedShape, LogLineShape, NodeShape, SkipShape, StepShape,
};
pub(crate) use shapes::{InstanceRow, JobRow, ParameterRow, RerunShape};
pub(crate) use token::BearerToken;

/// A service at an address such as `http://batch.example:8000`.
#[derive(Debug, Clone)]
pub(crate) struct RemoteService {
    http: Http,
}

/// The settings of a launch.
#[derive(Debug, Default)]
pub(crate) struct RemoteLaunch {
    pub(crate) parameters: Map<String, Value>,
    pub(crate) force: bool,
    pub(crate) new_run: bool,
    pub(crate) accept_changes: bool,
    pub(crate) priority: Option<i32>,
    /// The same launch with the same key is answered by the same execution, so a lost answer is asked for again.
    pub(crate) idempotency_key: String,
    pub(crate) trace_parent: Option<TraceParent>,
}

/// The parameters of a query in their order; those without a value are left out.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<String>);

impl Query {
    /// With one more parameter, where it has a value.
    pub(crate) fn with(mut self, name: &str, value: Option<impl Display>) -> Self {
        self.0.extend(value.map(|value| format!("{name}={}", encode(&value.to_string()))));
        self
    }

    pub(crate) fn on(&self, path: &str) -> String {
        if self.0.is_empty() { path.to_owned() } else { format!("{path}?{}", self.0.join("&")) }
    }
}

impl RemoteService {
    /// The service at an address; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none of `http://` or `https://`.
    pub(crate) fn new(address: &str) -> Result<Self, String> {
        Ok(Self { http: Http::new(address)? })
    }

    /// The same service, which is shown a token with each request.
    pub(crate) fn with_token(mut self, token: Option<BearerToken>) -> Self {
        self.http.token = token;
        self
    }

    /// Asks once whether the service is ready.
    ///
    /// # Errors
    /// When it is not, or does not answer within seconds.
    pub(crate) async fn check_ready(&self) -> Result<(), RemoteError> {
        self.http.get_once("/health/ready").await
    }

    /// Launches a job; answers the execution's id. Once it has returned, the execution is durable.
    pub(crate) async fn launch(&self, job: &str, launch: RemoteLaunch) -> Result<ExecutionId, RemoteError> {
        let new_run = launch.new_run.then_some(true);
        let query = Query::default().with("force", Some(launch.force)).with("new", new_run);
        let accept_changes = launch.accept_changes.then_some(true);
        let query = query.with("accept_changes", accept_changes).with("priority", launch.priority);
        let path = query.on(&format!("/jobs/{}/launch", encode(job)));
        let trace_parent = launch.trace_parent.map(|parent| parent.to_string());
        let mut headers = vec![("content-type", "application/json")];
        headers.push(("idempotency-key", launch.idempotency_key.as_str()));
        headers.extend(trace_parent.as_deref().map(|parent| ("traceparent", parent)));
        let launched = self.http.post_again(&path, &headers, Value::Object(launch.parameters).to_string()).await;
        let launched: LaunchedShape = or_missing(launched, Missing::Job, format_args!("'{job}'"))?;
        Ok(ExecutionId(launched.execution_id))
    }

    /// An execution.
    pub(crate) async fn execution(&self, id: ExecutionId) -> Result<JobExecution, RemoteError> {
        let shape = self.http.get::<ExecutionShape>(&format!("/executions/{id}")).await;
        self.read(or_missing(shape, Missing::Execution, id)?.into_execution())
    }

    /// The time that is left of an execution.
    pub(crate) async fn forecast(&self, id: ExecutionId) -> Result<Option<ForecastView>, RemoteError> {
        let execution = self.http.get::<Value>(&format!("/executions/{id}")).await;
        let left = or_missing(execution, Missing::Execution, id)?.get("seconds_left").cloned();
        self.read(left.map(|left| shape(&left)).transpose())
    }

    /// The reason why an execution waits, where a pause of launches holds it up.
    pub(crate) async fn held_up_by(&self, id: ExecutionId) -> Result<Option<String>, RemoteError> {
        let execution = self.http.get::<Value>(&format!("/executions/{id}")).await;
        let execution = or_missing(execution, Missing::Execution, id)?;
        Ok(execution.get("held_up_by").and_then(Value::as_str).map(str::to_owned))
    }

    /// The steps of an execution.
    pub(crate) async fn steps(&self, id: ExecutionId) -> Result<Vec<StepExecution>, RemoteError> {
        let shapes = self.http.get::<Vec<StepShape>>(&format!("/executions/{id}/steps")).await;
        let shapes = or_missing(shapes, Missing::Execution, id)?;
        self.read(shapes.into_iter().map(StepShape::into_step).collect())
    }

    /// An execution with its steps as the service shows them, for `--json`.
    pub(crate) async fn report(&self, id: ExecutionId) -> Result<Value, RemoteError> {
        let execution = self.http.get::<Value>(&format!("/executions/{id}")).await;
        let execution = or_missing(execution, Missing::Execution, id)?;
        let steps: Value = self.http.get(&format!("/executions/{id}/steps")).await?;
        Ok(serde_json::json!({ "execution": execution, "steps": steps }))
    }

    /// A page of executions with the cursor of the next, and their shapes as the service shows them.
    pub(crate) async fn executions(
        &self,
        job: Option<&str>,
        query: Query,
    ) -> Result<Listed<JobExecution>, RemoteError> {
        let (shown, next) = self.page("/executions", job, query).await?;
        let items = shown.iter().map(|value| shape::<ExecutionShape>(value)?.into_execution()).collect();
        Ok(Listed { items: self.read(items)?, shown, next })
    }

    /// A page of instances with the cursor of the next, and their shapes as the service shows them.
    pub(crate) async fn instances(&self, job: Option<&str>, query: Query) -> Result<Listed<InstanceRow>, RemoteError> {
        let (shown, next) = self.page("/instances", job, query).await?;
        let items = shown.iter().map(|value| Ok(shape::<InstanceShape>(value)?.into_row())).collect();
        Ok(Listed { items: self.read(items)?, shown, next })
    }

    /// The number of instances, of one job or of all.
    pub(crate) async fn instance_count(&self, job: Option<&str>) -> Result<i64, RemoteError> {
        let path = Query::default().with("job", job).on("/instances/count");
        let counted: CountShape =
            or_missing(self.http.get(&path).await, Missing::Job, format_args!("'{}'", job.unwrap_or_default()))?;
        Ok(counted.count)
    }

    /// The items that the steps of an execution skipped, with the names of the steps, and their shapes as the service
    /// shows them.
    pub(crate) async fn skips(&self, id: ExecutionId) -> Result<Listed<(String, StoredSkip)>, RemoteError> {
        let (mut items, mut shown) = (Vec::new(), Vec::new());
        for step in self.steps(id).await? {
            for value in self.http.lines::<Value>(&format!("/steps/{}/skips", step.id.0)).await? {
                let skip = self.read(shape::<SkipShape>(&value).and_then(SkipShape::into_skip))?;
                items.push((step.step_name.clone(), skip));
                shown.push(value);
            }
        }
        Ok(Listed { items, shown, next: None })
    }

    /// Lines of the log of an execution.
    pub(crate) async fn log(&self, id: ExecutionId, query: Query) -> Result<LogLines, RemoteError> {
        let path = query.on(&format!("/executions/{id}/logs"));
        let (shapes, end) = or_missing(self.http.log_lines::<LogLineShape>(&path).await, Missing::Execution, id)?;
        let lines = self.read(shapes.into_iter().map(LogLineShape::into_line).collect())?;
        Ok(LogLines { lines, end: self.read(end.map(|end| end.parse()).transpose())? })
    }

    /// The jobs that the service knows, and their shapes as the service shows them.
    pub(crate) async fn jobs(&self) -> Result<Listed<JobRow>, RemoteError> {
        let shown: Vec<Value> = self.http.get("/jobs").await?;
        let items = shown.iter().map(|value| Ok(shape::<JobShape>(value)?.into_row())).collect();
        Ok(Listed { items: self.read(items)?, shown, next: None })
    }

    /// The flow of a job as a Mermaid flow chart.
    pub(crate) async fn graph(&self, job: &str) -> Result<String, RemoteError> {
        let text = self.http.text(&format!("/jobs/{}/graph?format=mermaid", encode(job))).await;
        or_missing(text, Missing::Job, format_args!("'{job}'"))
    }

    /// A job as the service shows it.
    pub(crate) async fn job(&self, name: &str) -> Result<Value, RemoteError> {
        let job = self.http.get(&format!("/jobs/{}", encode(name))).await;
        or_missing(job, Missing::Job, format_args!("'{name}'"))
    }

    /// The code that the table of an execution's job has for its exit code; none where the service does not know the
    /// job any more.
    pub(crate) async fn process_exit_code(&self, execution: &JobExecution) -> Result<Option<u8>, RemoteError> {
        let job = self.http.get::<JobShape>(&format!("/jobs/{}", encode(&execution.job_name))).await;
        let exit_code = execution.exit_code.as_deref().unwrap_or(execution.status.as_str());
        match job {
            Ok(job) => Ok(job.process_exit_codes().find(exit_code)),
            Err(RemoteError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The JSON Schema of the parameters of a job.
    pub(crate) async fn parameters_schema(&self, job: &str) -> Result<Value, RemoteError> {
        let schema = self.http.get(&format!("/jobs/{}/parameters-schema", encode(job))).await;
        or_missing(schema, Missing::Job, format_args!("'{job}'"))
    }

    /// The types of the parameters that a job declares; empty when it declares none.
    pub(crate) async fn declared(&self, job: &str) -> Result<HashMap<String, ParameterType>, RemoteError> {
        let shape = self.http.get::<JobShape>(&format!("/jobs/{}", encode(job))).await;
        Ok(or_missing(shape, Missing::Job, format_args!("'{job}'"))?.types())
    }

    /// Asks an execution to stop.
    pub(crate) async fn stop(&self, id: ExecutionId) -> Result<JobExecution, RemoteError> {
        self.operate(id, "stop").await
    }

    /// Gives an execution up.
    pub(crate) async fn abandon(&self, id: ExecutionId) -> Result<JobExecution, RemoteError> {
        self.operate(id, "abandon").await
    }

    /// The plan of a restart of an execution.
    pub(crate) async fn restart_plan(&self, id: ExecutionId) -> Result<RestartPlanView, RemoteError> {
        let plan = self.http.get(&format!("/executions/{id}/restart-plan")).await;
        or_missing(plan, Missing::Execution, id)
    }

    /// Restarts an execution, as a plan says where its tag is given; answers the id of the new one.
    pub(crate) async fn restart(
        &self,
        id: ExecutionId,
        plan: Option<&str>,
        accept_changes: bool,
    ) -> Result<ExecutionId, RemoteError> {
        let tag = plan.map(|tag| format!("\"{tag}\""));
        let headers: Vec<_> = tag.iter().map(|tag| ("if-match", tag.as_str())).collect();
        let query = Query::default().with("accept_changes", accept_changes.then_some(true));
        let launched =
            self.http.post_with::<LaunchedShape>(&query.on(&format!("/executions/{id}/restart")), &headers).await;
        Ok(ExecutionId(or_missing(launched, Missing::Execution, id)?.execution_id))
    }

    /// Runs the skipped items of an execution again, by a new execution.
    pub(crate) async fn rerun(&self, id: ExecutionId) -> Result<RerunShape, RemoteError> {
        let rerun = self.http.post(&format!("/executions/{id}/skips/rerun")).await;
        or_missing(rerun, Missing::Execution, id)
    }

    /// The nodes that share the service's database, and their shapes as the service shows them.
    pub(crate) async fn nodes(&self) -> Result<Listed<NodeStatus>, RemoteError> {
        let shown: Vec<Value> = self.http.get("/nodes").await?;
        let items = shown.iter().map(|value| shape::<NodeShape>(value)?.into_node()).collect();
        Ok(Listed { items: self.read(items)?, shown, next: None })
    }

    /// Drains a node, or with `None` lets it take work again. Asked for twice it is the same wish.
    pub(crate) async fn drain(&self, node: uuid::Uuid, drain: Option<Drain>) -> Result<NodeStatus, RemoteError> {
        let path = match drain {
            Some(Drain { stop, exit }) => format!("/nodes/{node}/drain?stop={stop}&exit={exit}"),
            None => format!("/nodes/{node}/undrain"),
        };
        let shape = self.http.post_again::<NodeShape>(&path, &[], String::new()).await;
        self.read(or_missing(shape, Missing::Node, node)?.into_node())
    }

    /// A list as the service shows it, and the cursor of its next page.
    pub(crate) async fn read_list(&self, path: &str) -> Result<(Vec<Value>, Option<String>), RemoteError> {
        self.http.page(path).await
    }

    /// The same, of a thing that must be there.
    pub(crate) async fn read_list_named(
        &self,
        path: &str,
        what: Missing,
        name: &str,
    ) -> Result<(Vec<Value>, Option<String>), RemoteError> {
        or_missing(self.http.page(path).await, what, format_args!("'{name}'"))
    }

    /// The attempts to deliver a notice.
    pub(crate) async fn notice_attempts(&self, id: NoticeId) -> Result<Vec<Value>, RemoteError> {
        or_missing(self.http.get(&format!("/notices/{id}/attempts")).await, Missing::Notice, id)
    }

    /// A thing that must be there, as the service shows it.
    pub(crate) async fn read_named(&self, path: &str, what: Missing, name: &str) -> Result<Value, RemoteError> {
        or_missing(self.http.get(path).await, what, format_args!("'{name}'"))
    }

    /// Asks for a change of a thing that must be there, once; null where the service answers nothing.
    pub(crate) async fn change_named(
        &self,
        path: &str,
        body: Option<Value>,
        what: Missing,
        name: &str,
    ) -> Result<Value, RemoteError> {
        or_missing(self.http.change(path, body).await, what, format_args!("'{name}'"))
    }

    /// Lets the service send a trial to a channel of its own settings; the reason, where the channel has not taken it.
    pub(crate) async fn test_channel(&self, name: &str) -> Result<Value, RemoteError> {
        let path = format!("/notices/test/{}", http::encode(name));
        self.change_named(&path, None, Missing::Channel, name).await
    }

    async fn page(
        &self,
        path: &str,
        job: Option<&str>,
        query: Query,
    ) -> Result<(Vec<Value>, Option<String>), RemoteError> {
        let page = self.http.page(&query.with("job", job).on(path)).await;
        or_missing(page, Missing::Job, format_args!("'{}'", job.unwrap_or_default()))
    }

    async fn operate(&self, id: ExecutionId, what: &str) -> Result<JobExecution, RemoteError> {
        let shape = self.http.post::<ExecutionShape>(&format!("/executions/{id}/{what}")).await;
        self.read(or_missing(shape, Missing::Execution, id)?.into_execution())
    }

    fn read<T>(&self, shape: Result<T, String>) -> Result<T, RemoteError> {
        shape.map_err(|problem| self.http.unreadable(problem))
    }
}

/// An answer of 404 in the words of a command on the database itself, with the culprit; one that says that something
/// else is not there stays as it is.
pub(crate) fn or_missing<T>(
    answer: Result<T, RemoteError>,
    what: Missing,
    culprit: impl Display,
) -> Result<T, RemoteError> {
    let is_another = |detail: &str| Missing::ALL.iter().any(|other| *other != what && other.sentence() == detail);
    answer.map_err(|error| match error {
        RemoteError::Refused { status: 404, address, detail } if !is_another(&detail) => {
            RemoteError::Missing { what, culprit: culprit.to_string(), address }
        }
        error => error,
    })
}

fn shape<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

/// Lines of a log, and the position behind them.
#[derive(Debug)]
pub(crate) struct LogLines {
    pub(crate) lines: Vec<KeptLine>,
    pub(crate) end: Option<LogPosition>,
}

/// The items of a list: as types of the core, and as the service has written them.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    pub(crate) shown: Vec<Value>,
    pub(crate) next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_parameters_that_are_given() {
        let query = Query::default().with("job", Some("a b")).with("from", None::<i64>).with("limit", Some(5));
        assert_eq!(query.on("/executions"), "/executions?job=a%20b&limit=5");
        assert_eq!(Query::default().on("/executions"), "/executions");
    }
}
