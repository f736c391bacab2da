//! The form of a launch: a field for each declared parameter, its checks and its value; raw JSON for the rest.

use oxbatch_core::Job;
use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::job::{GivenParameters, GivenValue};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::form::Form;
use super::rows::value;
use crate::error::{Problem, ProblemKind};
use crate::extract::query::priority;
use crate::view::{DeclarationView, ExecutionView, SECRET, TypeView, ValueView};

/// The text before the name of a parameter in the name of its field.
const PREFIX: &str = "p.";

/// A field of the form.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) required: bool,
    pub(super) secret: bool,
    pub(super) identifying: bool,
    pub(super) description: String,
    pub(super) value: String,
    pub(super) placeholder: String,
    /// The allowed values; empty for any.
    pub(super) options: Vec<String>,
    pub(super) rule: Option<String>,
    pub(super) errors: Vec<String>,
}

/// The form as it is shown.
#[derive(Debug)]
pub(super) struct LaunchForm {
    /// `None` where the job declares no parameters and takes any.
    pub(super) fields: Option<Vec<Field>>,
    pub(super) json: String,
    pub(super) new_run: bool,
    pub(super) force: bool,
    pub(super) priority: String,
    /// The same form sent twice launches once.
    pub(super) key: String,
    /// The execution whose parameters it was filled with.
    pub(super) from: Option<i64>,
    /// Errors of no field alone.
    pub(super) errors: Vec<String>,
}

impl LaunchForm {
    /// The form of a job with what was filled in.
    pub(super) fn new(job: &Job, form: &Form, from: Option<&ExecutionView>) -> Self {
        let declared = job.parameters().map(|declared| declared.iter().map(DeclarationView::from));
        let fields = declared.map(|declared| declared.map(|it| field(it, form, from)).collect());
        let json = match (form.get("json"), from) {
            (Some(json), _) => json.to_owned(),
            (None, Some(from)) if job.parameters().is_none() => json_of(from),
            (None, _) => String::new(),
        };
        Self {
            fields,
            json,
            new_run: form.is_on("new"),
            force: form.is_on("force"),
            priority: form.get("priority").unwrap_or_default().to_owned(),
            key: Uuid::new_v4().simple().to_string(),
            from: from.map(|from| from.id),
            errors: Vec::new(),
        }
    }

    /// The same with what is wrong, each error at its field.
    pub(super) fn with_problem(mut self, problem: &Problem) -> Self {
        if problem.errors.is_empty() {
            self.errors.push(problem.detail.clone());
        }
        for error in &problem.errors {
            let fields = self.fields.as_mut();
            let field =
                fields.and_then(|fields| fields.iter_mut().find(|field| error.parameter.as_ref() == Some(&field.name)));
            match (field, &error.parameter) {
                (Some(field), _) => field.errors.push(error.message.clone()),
                (None, Some(name)) => self.errors.push(format!("{name} {}", error.message)),
                (None, None) => self.errors.push(error.message.clone()),
            }
        }
        self
    }
}

fn field(declared: DeclarationView, form: &Form, from: Option<&ExecutionView>) -> Field {
    // A secret by its name is given as raw JSON alone.
    let is_shown = |it: &&ValueView| !matches!(it, ValueView::Reference(_)) && value(it) != SECRET;
    let shown = |it: Option<&ValueView>| it.filter(is_shown).map(value).unwrap_or_default();
    let default = declared.default.as_ref().map(value);
    let given = form.get(&format!("{PREFIX}{}", declared.name)).map(str::to_owned);
    let before = from.map(|from| shown(from.parameters.get(&declared.name)));
    let placeholder = match (&declared.default_expression, &default) {
        (Some(expression), _) => format!("default: {expression}"),
        (None, Some(default)) => format!("default: {default}"),
        (None, None) => String::new(),
    };
    Field {
        // A secret is not sent back, not even to the one who typed it.
        value: given.filter(|_| !declared.secret).or(before).unwrap_or_default(),
        kind: kind(declared.r#type),
        required: declared.required,
        secret: declared.secret,
        identifying: declared.identifying,
        rule: rule(&declared),
        options: declared.allowed.iter().map(value).collect(),
        description: declared.description,
        name: declared.name,
        placeholder,
        errors: Vec::new(),
    }
}

const fn kind(kind: TypeView) -> &'static str {
    match kind {
        TypeView::String => "text",
        TypeView::Integer => "whole number",
        TypeView::Float => "number",
        TypeView::DateTime => "date or time, as 2026-11-30 or 2026-11-30T08:00:00Z",
    }
}

fn rule(declared: &DeclarationView) -> Option<String> {
    match (declared.minimum, declared.maximum, &declared.pattern) {
        (Some(minimum), Some(maximum), _) => Some(format!("from {minimum} to {maximum}")),
        (_, _, Some(pattern)) => Some(pattern.description.clone()),
        _ => None,
    }
}

/// The parameters of an execution as JSON, without its secrets.
fn json_of(from: &ExecutionView) -> String {
    let shown = from.parameters.iter().filter(|(_, it)| **it != ValueView::Text(SECRET.to_owned()));
    let object: Map<String, Value> =
        shown.map(|(name, it)| (name.clone(), serde_json::to_value(it).unwrap_or_default())).collect();
    if object.is_empty() { String::new() } else { serde_json::to_string_pretty(&object).unwrap_or_default() }
}

/// The parameters that a form gives: its raw JSON where there is any, otherwise its fields that are filled in.
pub(super) fn given(form: &Form) -> Result<GivenParameters, Problem> {
    if let Some(json) = form.get("json").filter(|json| !json.trim().is_empty()) {
        return GivenParameters::from_json(json.as_bytes()).map_err(|error| {
            let detail = format!("the raw JSON must be an object of parameters, such as {{\"size\": 100}}: {error}");
            Problem::new(ProblemKind::NoObject, detail)
        });
    }
    let filled = form.fields().filter(|(_, text)| !text.is_empty());
    let entries = filled
        .filter_map(|(name, text)| Some((name.strip_prefix(PREFIX)?.to_owned(), GivenValue::Text(text.to_owned()))));
    Ok(GivenParameters { entries: entries.collect() })
}

/// The options of a launch.
pub(super) fn options(form: &Form) -> Result<LaunchOptions, Problem> {
    let rank = form.get("priority").map(priority).transpose();
    let rank = rank.map_err(|message| {
        let detail = format!("the priority {message}");
        Problem::new(ProblemKind::InvalidQuery, detail)
    })?;
    let is_key = |key: &&str| key.len() <= 255 && key.bytes().all(|byte| byte.is_ascii_graphic());
    Ok(LaunchOptions {
        force: form.is_on("force"),
        new_run: form.is_on("new"),
        idempotency_key: form.get("key").filter(is_key).map(str::to_owned),
        priority: rank,
        accept_changes: form.is_on("accept_changes"),
        trace_parent: None,
    })
}
