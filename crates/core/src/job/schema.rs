//! The JSON Schema (draft 2020-12) of the parameters of a launch, as the HTTP interface takes them.

use serde_json::{Map, Value, json};

use super::declaration::MAX_NAME_CHARS;
use super::resolution::{MAX_PARAMETERS, MAX_STRING_BYTES};
use super::{Job, ParameterDeclaration, ParameterType, ParameterValue};

/// The dialect of the schema.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// A date-time without offset, which is UTC: the format `date-time` wants one.
const LOCAL_DATE_TIME: &str =
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d{1,6})?)?$";
/// The name of a secret.
const SECRET_NAME: &str = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$";

/// The schema of the object of parameters that a launch of `job` takes.
pub(super) fn of(job: &Job) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), DIALECT.into());
    schema.insert("title".to_owned(), format!("Parameters of {}", job.name()).into());
    if !job.description().is_empty() {
        schema.insert("description".to_owned(), job.description().into());
    }
    schema.insert("type".to_owned(), "object".into());
    match job.parameters() {
        None => {
            let any = json!({ "type": ["string", "number"], "maxLength": MAX_STRING_BYTES });
            schema.insert("additionalProperties".to_owned(), any);
            schema.insert("propertyNames".to_owned(), json!({ "minLength": 1, "maxLength": MAX_NAME_CHARS }));
            schema.insert("maxProperties".to_owned(), MAX_PARAMETERS.into());
        }
        Some(declared) => {
            let properties = declared.iter().map(|declaration| (declaration.name().to_owned(), parameter(declaration)));
            schema.insert("properties".to_owned(), properties.collect::<Map<_, _>>().into());
            let required = declared.iter().filter(|declaration| declaration.is_required());
            let required: Vec<Value> = required.map(|declaration| declaration.name().into()).collect();
            schema.insert("required".to_owned(), required.into());
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    }
    schema.into()
}

fn parameter(declaration: &ParameterDeclaration) -> Value {
    let mut schema = Map::new();
    let mut set = |keyword: &str, value: Value| schema.insert(keyword.to_owned(), value);
    match declaration.kind() {
        ParameterType::String => {
            set("type", "string".into());
            // In characters, of which each has a byte at least.
            set("maxLength", MAX_STRING_BYTES.into());
        }
        ParameterType::Integer => {
            set("type", "integer".into());
            set("format", "int64".into());
            let (minimum, maximum) = declaration.range().unwrap_or((i64::MIN, i64::MAX));
            set("minimum", minimum.into());
            set("maximum", maximum.into());
        }
        ParameterType::Float => {
            set("type", "number".into());
            set("format", "double".into());
        }
        ParameterType::DateTime => {
            set("type", "string".into());
            let forms =
                [json!({ "format": "date" }), json!({ "format": "date-time" }), json!({ "pattern": LOCAL_DATE_TIME })];
            set("anyOf", Vec::from(forms).into());
        }
    }
    if let Some(pattern) = declaration.pattern_or_none() {
        set("pattern", pattern.anchored().into());
        set("x-pattern-description", pattern.description().into());
    }
    if !declaration.text().is_empty() {
        set("description", declaration.text().into());
    }
    if declaration.is_secret() {
        set("writeOnly", true.into());
    } else {
        if !declaration.allowed_values().is_empty() {
            set("enum", declaration.allowed_values().iter().map(json_value).collect());
        }
        if let Some(default) = declaration.default_or_none() {
            set("default", json_value(default));
        }
    }
    if let Some(expression) = declaration.default_expression_or_none() {
        set("x-default-expression", expression.to_string().into());
    }
    if !declaration.is_identifying() {
        set("x-identifying", false.into());
    }
    if declaration.is_secret() {
        or_reference(&mut schema);
    }
    schema.into()
}

/// Lets a secret be given by the name of one, too. What is said of texts and numbers does not concern an object.
fn or_reference(schema: &mut Map<String, Value>) {
    let of_value = schema.insert("type".to_owned(), Value::Null);
    schema.insert("type".to_owned(), json!([of_value, "object"]));
    schema.insert("properties".to_owned(), json!({ "secret": { "type": "string", "pattern": SECRET_NAME } }));
    schema.insert("required".to_owned(), json!(["secret"]));
    schema.insert("additionalProperties".to_owned(), false.into());
}

/// A value as it is given in a launch.
fn json_value(value: &ParameterValue) -> Value {
    match value {
        ParameterValue::String(text) => text.as_str().into(),
        ParameterValue::Integer(number) => (*number).into(),
        ParameterValue::Float(number) => (*number).into(),
        ParameterValue::DateTime(_) | ParameterValue::Secret(_) => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DateTime, TaskStep};

    fn schema(declared: impl IntoIterator<Item = ParameterDeclaration>) -> Value {
        let job = declared.into_iter().fold(Job::builder("Import").no_parameters(), |job, it| job.parameter(it));
        job.description("loads a file").step(TaskStep::builder("Only", |_| Ok(()))).build().unwrap().parameters_schema()
    }

    /// Golden: clients make forms and checks of it.
    #[test]
    fn a_schema_says_all_that_is_declared() {
        let day = DateTime::parse("2024-01-01").unwrap();
        let forms = json!([{ "format": "date" }, { "format": "date-time" }, { "pattern": LOCAL_DATE_TIME }]);
        let declared = [
            ParameterDeclaration::string("input").default_value("in.csv").description("file to read"),
            ParameterDeclaration::string("region").required().pattern("[A-Z]{2}", "a country code such as DE"),
            ParameterDeclaration::integer("size").between(1, 500).default_value(100),
            ParameterDeclaration::integer("count").allowed([1, 2]).non_identifying(),
            ParameterDeclaration::float("share").required(),
            ParameterDeclaration::date_time("since").default_value(day),
            ParameterDeclaration::date_time("day").default_expression("yesterday in Europe/Berlin"),
            ParameterDeclaration::string("token").secret().default_value("hush").allowed(["hush"]),
        ];
        let expected = json!({
            "$schema": DIALECT,
            "title": "Parameters of Import",
            "description": "loads a file",
            "type": "object",
            "properties": {
                "input": { "type": "string", "maxLength": 32768, "description": "file to read", "default": "in.csv" },
                "region": {
                    "type": "string", "maxLength": 32768, "pattern": "^(?:[A-Z]{2})$",
                    "x-pattern-description": "a country code such as DE",
                },
                "size": { "type": "integer", "format": "int64", "minimum": 1, "maximum": 500, "default": 100 },
                "count": {
                    "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX, "enum": [1, 2],
                    "x-identifying": false,
                },
                "share": { "type": "number", "format": "double" },
                "since": { "type": "string", "anyOf": forms, "default": "2024-01-01" },
                "day": { "type": "string", "anyOf": forms, "x-default-expression": "yesterday in Europe/Berlin" },
                "token": {
                    "type": ["string", "object"], "maxLength": 32768, "writeOnly": true, "x-identifying": false,
                    "properties": { "secret": { "type": "string", "pattern": SECRET_NAME } }, "required": ["secret"],
                    "additionalProperties": false,
                },
            },
            "required": ["region", "share"],
            "additionalProperties": false,
        });
        assert_eq!(schema(declared), expected);
    }

    #[test]
    fn a_job_without_parameters_takes_none_and_one_that_declares_nothing_takes_any() {
        let none = schema([]);
        assert_eq!((&none["properties"], &none["additionalProperties"]), (&json!({}), &json!(false)));
        let any = Job::builder("Any").step(TaskStep::builder("Only", |_| Ok(()))).build().unwrap().parameters_schema();
        assert_eq!(any["additionalProperties"]["type"], json!(["string", "number"]));
        assert_eq!((any.get("properties"), any.get("description")), (None, None));
    }
}
