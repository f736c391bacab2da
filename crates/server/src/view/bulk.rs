//! Bulk work: as it is asked for, planned, as it stands, and its results.

use std::collections::BTreeMap;

use oxbatch_core::Status;
use oxbatch_core::engine::BulkPlan;
use oxbatch_core::execution::{ExecutionId, InstanceId};
use oxbatch_core::job::DateTime;
use oxbatch_core::repository::{Bulk, BulkAction, BulkResult, ExecutionFilter, MAX_CHOSEN};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::time;

/// Executions that bulk work finds: those that fit all of the conditions that are given, at least one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkFilter)]
pub struct BulkFilterView {
    /// Of this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// With one of these statuses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// Created at or after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub from: Option<String>,
    /// Created before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub to: Option<String>,
    /// Of this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub instance: Option<i64>,
    /// One of these, by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 500)]
    pub ids: Vec<i64>,
    /// Of instances with all of these parameters, each as NAME=VALUE.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameter: Vec<String>,
    /// With this text in the name of the job or in the exit message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Bulk work as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBulk)]
pub struct BulkInput {
    /// The action: `RESTART`, `STOP` or `ABANDON`.
    #[schema(pattern = "^(RESTART|STOP|ABANDON)$")]
    pub action: String,
    /// The executions.
    pub filter: BulkFilterView,
    /// `true` to count alone: nothing is written.
    #[serde(default)]
    pub dry_run: bool,
}

impl BulkFilterView {
    /// The filter.
    ///
    /// # Errors
    /// The sentence that names the field that is wrong.
    pub fn filter(&self) -> Result<ExecutionFilter, String> {
        let moment = |name: &str, text: &Option<String>| {
            let parse = |text: &String| DateTime::parse(text).map(DateTime::saturating_instant);
            let refuse = |error| format!("{name}: {error}");
            text.as_ref().map(parse).transpose().map_err(refuse)
        };
        if self.ids.len() > MAX_CHOSEN {
            return Err(format!("ids: at most {MAX_CHOSEN} executions can be named, not {}", self.ids.len()));
        }
        if let Some(wrong) = self.ids.iter().find(|id| **id < 1) {
            return Err(format!("ids: {wrong} is no id of an execution"));
        }
        if let Some(wrong) = self.instance.filter(|id| *id < 1) {
            return Err(format!("instance: {wrong} is no id of an instance"));
        }
        let statuses = self.status.iter().map(|text| text.to_ascii_uppercase().parse::<Status>());
        let parameters =
            self.parameter.iter().map(|text| text.parse().map_err(|error: String| format!("parameter: {error}")));
        Ok(ExecutionFilter {
            job_name: self.job.clone(),
            statuses: statuses.collect::<Result<_, _>>().map_err(|error| format!("status: {error}"))?,
            from: moment("from", &self.from)?,
            to: moment("to", &self.to)?,
            instance_id: self.instance.map(InstanceId),
            ids: self.ids.iter().copied().map(ExecutionId).collect(),
            parameters: parameters.collect::<Result<_, String>>()?,
            text: self.text.clone().filter(|text| !text.is_empty()),
        })
    }

    fn of(filter: ExecutionFilter) -> Self {
        Self {
            job: filter.job_name,
            status: filter.statuses.iter().map(|status| status.as_str().to_owned()).collect(),
            from: filter.from.map(time),
            to: filter.to.map(time),
            instance: filter.instance_id.map(|id| id.0),
            ids: filter.ids.iter().map(|id| id.0).collect(),
            parameter: filter.parameters.iter().map(|it| format!("{}={}", it.name, it.value)).collect(),
            text: filter.text,
        }
    }
}

impl BulkInput {
    /// The action and the filter.
    ///
    /// # Errors
    /// The sentence that names the field that is wrong.
    pub fn request(&self) -> Result<(BulkAction, ExecutionFilter), String> {
        let action = self.action.to_ascii_uppercase().parse::<BulkAction>();
        Ok((action.map_err(|error| format!("action: {error}"))?, self.filter.filter()?))
    }
}

/// The plan of bulk work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BulkPlan)]
pub struct BulkPlanView {
    /// Executions that the filter finds.
    #[schema(minimum = 0)]
    pub found: usize,
    /// Those that the action is done on.
    #[schema(minimum = 0)]
    pub acted_on: usize,
    /// The number of the others by the reason why they are left out.
    pub left_out: BTreeMap<String, usize>,
    /// `true` if there are more, which were not counted.
    pub has_more: bool,
}

/// Bulk work as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Bulk)]
pub struct BulkView {
    /// Its id.
    #[schema(minimum = 1)]
    pub id: i64,
    /// The action.
    pub action: String,
    /// The executions.
    pub filter: BulkFilterView,
    /// `RUNNING`, `ENDED` or `CANCELLED`.
    pub status: String,
    /// When it began.
    #[schema(format = DateTime)]
    pub create_time: String,
    /// When it ended; null while it runs.
    #[schema(required, format = DateTime)]
    pub end_time: Option<String>,
    /// Executions on which the action was done.
    #[schema(minimum = 0)]
    pub done: i64,
    /// Executions that were left out.
    #[schema(minimum = 0)]
    pub left_out: i64,
}

/// The result of bulk work for an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BulkResult)]
pub struct BulkResultView {
    /// The execution.
    #[schema(minimum = 1)]
    pub execution_id: i64,
    /// `DONE` or `LEFT_OUT`.
    pub outcome: String,
    /// The reason why it was left out; null for what was done.
    #[schema(required)]
    pub message: Option<String>,
    /// The execution that a restart has launched.
    #[schema(required, minimum = 1)]
    pub new_execution_id: Option<i64>,
}

impl From<BulkPlan> for BulkPlanView {
    fn from(plan: BulkPlan) -> Self {
        let BulkPlan { found, acted_on, left_out, has_more } = plan;
        Self { found, acted_on, left_out, has_more }
    }
}

impl From<Bulk> for BulkView {
    fn from(bulk: Bulk) -> Self {
        Self {
            id: bulk.id.0,
            action: bulk.action.as_str().to_owned(),
            filter: BulkFilterView::of(bulk.filter),
            status: bulk.state.as_str().to_owned(),
            create_time: time(bulk.create_time),
            end_time: bulk.end_time.map(time),
            done: bulk.done,
            left_out: bulk.left_out,
        }
    }
}

impl From<BulkResult> for BulkResultView {
    fn from(result: BulkResult) -> Self {
        Self {
            execution_id: result.execution_id.0,
            outcome: result.outcome.as_str().to_owned(),
            message: result.message,
            new_execution_id: result.new_execution_id.map(|id| id.0),
        }
    }
}
