//! A job instance and the parameters that identify it.

use oxbatch_core::execution::JobInstance;
use oxbatch_core::job::ParameterValue;
use oxbatch_core::repository::InstanceParameter;
use serde::Serialize;
use utoipa::ToSchema;

use super::value::{SECRET, TypeView, ValueView, time};

/// A job together with its identifying parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Instance)]
pub struct InstanceView {
    #[schema(minimum = 1)]
    id: i64,
    job_name: String,
    /// Hash of the identifying parameters.
    job_key: String,
    /// The moment at which the first launch created it.
    #[schema(format = DateTime)]
    create_time: String,
}

/// The number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = InstanceCount)]
pub struct InstanceCountView {
    #[schema(minimum = 0)]
    count: i64,
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
    id: i64,
    #[schema(minimum = 1)]
    job_instance_id: i64,
    key_name: String,
    r#type: TypeView,
    value: ValueView,
    /// Text; of a secret of any type `***`.
    #[schema(required)]
    string_value: Option<String>,
    #[schema(required)]
    long_value: Option<i64>,
    #[schema(required)]
    double_value: Option<f64>,
    /// A date, or an instant in UTC.
    #[schema(required)]
    date_value: Option<String>,
    /// `true` if it takes part in the identity of the instance.
    identifying: bool,
}

impl From<JobInstance> for InstanceView {
    fn from(instance: JobInstance) -> Self {
        Self {
            id: instance.id.0,
            job_name: instance.job_name,
            job_key: instance.job_key,
            create_time: time(instance.create_time),
        }
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
