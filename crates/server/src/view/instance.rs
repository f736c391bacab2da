//! A job instance and the parameters that identify it.

use std::collections::{BTreeMap, HashMap};

use oxbatch_core::JobExecution;
use oxbatch_core::execution::JobInstance;
use oxbatch_core::job::ParameterValue;
use oxbatch_core::repository::InstanceParameter;
use serde::Serialize;
use utoipa::ToSchema;

use super::StatusView;
use super::value::{SECRET, TypeView, ValueView, parameters, time};

/// A job together with its identifying parameters, and how its last execution stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Instance)]
pub struct InstanceView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    pub(crate) job_name: String,
    /// Hash of the identifying parameters.
    pub(crate) job_key: String,
    /// The moment at which the first launch created it.
    #[schema(format = DateTime)]
    create_time: String,
    /// The parameters of its last execution by name, secrets masked.
    parameters: BTreeMap<String, ValueView>,
    /// Its last execution; null when all were purged in this moment.
    #[schema(minimum = 1, required)]
    last_execution_id: Option<i64>,
    /// The status of that execution.
    #[schema(required)]
    last_status: Option<StatusView>,
}

/// The number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = InstanceCount)]
pub struct InstanceCountView {
    #[schema(minimum = 0)]
    pub(crate) count: i64,
}

impl InstanceCountView {
    /// The shape of a count.
    pub const fn new(count: i64) -> Self {
        Self { count }
    }
}

/// A parameter with which an instance was created. Of the four typed values one is set.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = InstanceParameter)]
pub struct InstanceParameterView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    #[schema(minimum = 1)]
    pub(crate) job_instance_id: i64,
    pub(crate) key_name: String,
    pub(crate) r#type: TypeView,
    pub(crate) value: ValueView,
    /// Text; of a secret of any type `***`.
    #[schema(required)]
    pub(crate) string_value: Option<String>,
    #[schema(required)]
    pub(crate) long_value: Option<i64>,
    #[schema(required)]
    pub(crate) double_value: Option<f64>,
    /// A date, or an instant in UTC.
    #[schema(required)]
    pub(crate) date_value: Option<String>,
    /// `true` if it takes part in the identity of the instance.
    pub(crate) identifying: bool,
}

impl InstanceView {
    /// The shape of an instance whose last execution is `last`.
    pub fn new(instance: JobInstance, last: Option<&JobExecution>) -> Self {
        Self {
            id: instance.id.0,
            job_name: instance.job_name,
            job_key: instance.job_key,
            create_time: time(instance.create_time),
            parameters: last.map(|last| parameters(&last.parameters)).unwrap_or_default(),
            last_execution_id: last.map(|last| last.id.0),
            last_status: last.map(|last| last.status.into()),
        }
    }

    /// The shapes of instances in their order, each with its own among their last executions.
    pub fn listed(instances: Vec<JobInstance>, last: &[JobExecution]) -> Vec<Self> {
        let by_instance: HashMap<_, _> = last.iter().map(|last| (last.instance_id, last)).collect();
        let view = |instance: JobInstance| {
            let last = by_instance.get(&instance.id).copied();
            Self::new(instance, last)
        };
        instances.into_iter().map(view).collect()
    }
}

impl From<InstanceParameter> for InstanceParameterView {
    fn from(row: InstanceParameter) -> Self {
        let parameter = row.parameter;
        let mut view = Self {
            id: row.id,
            job_instance_id: row.instance_id.0,
            key_name: row.name,
            r#type: parameter.value.kind().into(),
            value: (&parameter).into(),
            string_value: None,
            long_value: None,
            double_value: None,
            date_value: None,
            identifying: parameter.identifying,
        };
        match parameter.value {
            ParameterValue::Secret(_) => view.string_value = Some(SECRET.to_owned()),
            _ if parameter.secret => view.string_value = Some(SECRET.to_owned()),
            ParameterValue::String(text) => view.string_value = Some(text),
            ParameterValue::Integer(number) => view.long_value = Some(number),
            ParameterValue::Float(number) => view.double_value = Some(number),
            ParameterValue::DateTime(value) => view.date_value = Some(value.to_string()),
        }
        view
    }
}
