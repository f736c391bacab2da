//! Parameters that a job declares, and the check of what a launch gives against them.

use std::collections::HashSet;
use std::fmt;

use super::{GivenParameters, GivenValue, JobParameters, Parameter, ParameterType, ParameterValue};

/// Longest name of a parameter in characters.
pub(crate) const MAX_NAME_CHARS: usize = 100;
/// Most parameters of one launch.
const MAX_PARAMETERS: usize = 100;
/// Longest text of a STRING parameter in bytes; larger input belongs into a file whose path is the parameter.
const MAX_STRING_BYTES: usize = 32 * 1024;

/// A parameter that a job accepts.
///
/// ```
/// use oxbatch::ParameterDeclaration;
///
/// let input = ParameterDeclaration::string("input").default_value("data/in.csv").description("file to import");
/// let day = ParameterDeclaration::date_time("day").required();
/// assert!(day.is_required() && !input.is_required());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterDeclaration {
    name: String,
    kind: ParameterType,
    required: bool,
    default: Option<ParameterValue>,
    identifying: bool,
    secret: bool,
    description: String,
    allowed: Vec<ParameterValue>,
    range: Option<(i64, i64)>,
}

impl ParameterDeclaration {
    fn new(name: &str, kind: ParameterType) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            required: false,
            default: None,
            identifying: true,
            secret: false,
            description: String::new(),
            allowed: Vec::new(),
            range: None,
        }
    }

    /// Declares a STRING parameter: optional, identifying, without a default.
    pub fn string(name: &str) -> Self {
        Self::new(name, ParameterType::String)
    }

    /// Declares an INTEGER parameter: optional, identifying, without a default.
    pub fn integer(name: &str) -> Self {
        Self::new(name, ParameterType::Integer)
    }

    /// Declares a FLOAT parameter: optional, identifying, without a default.
    pub fn float(name: &str) -> Self {
        Self::new(name, ParameterType::Float)
    }

    /// Declares a DATETIME parameter: optional, identifying, without a default.
    pub fn date_time(name: &str) -> Self {
        Self::new(name, ParameterType::DateTime)
    }

    /// Refuses launches without it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The value of a launch that does not give one. It takes part in the identity like a given one.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<ParameterValue>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Keeps it out of the identity: launches that differ only in it are the same instance.
    #[must_use]
    pub fn non_identifying(mut self) -> Self {
        self.identifying = false;
        self
    }

    /// Shows it as `***`; keeps it out of the identity too.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self.identifying = false;
        self
    }

    /// Its purpose, for people.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        text.clone_into(&mut self.description);
        self
    }

    /// Refuses every other value.
    #[must_use]
    pub fn allowed<V: Into<ParameterValue>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.allowed = values.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses whole numbers outside of a range; both ends belong to it.
    #[must_use]
    pub fn between(mut self, minimum: i64, maximum: i64) -> Self {
        self.range = Some((minimum, maximum));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn kind(&self) -> ParameterType {
        self.kind
    }

    /// True if a launch must give it.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// True if it takes part in the identity of the instance.
    pub fn is_identifying(&self) -> bool {
        self.identifying
    }

    /// True if it is shown as `***`.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// The value of a launch that does not give one.
    pub fn default_or_none(&self) -> Option<&ParameterValue> {
        self.default.as_ref()
    }

    /// Its purpose; may be empty.
    pub fn text(&self) -> &str {
        &self.description
    }

    /// The only values that it takes; empty for any.
    pub fn allowed_values(&self) -> &[ParameterValue] {
        &self.allowed
    }

    /// The smallest and the largest whole number that it takes.
    pub fn range(&self) -> Option<(i64, i64)> {
        self.range
    }

    /// The contradiction in the declaration, as a sentence fragment.
    pub(crate) fn contradiction(&self) -> Option<String> {
        if self.name.is_empty() || self.name.chars().count() > MAX_NAME_CHARS || self.name.contains('\0') {
            return Some(format!("parameter name '{}' is empty, too long or has a NUL", self.name));
        }
        if self.required && self.default.is_some() {
            return Some(format!("parameter '{}' is required and has a default", self.name));
        }
        let values = self.default.iter().chain(&self.allowed);
        if let Some(value) = values.into_iter().find(|value| value.kind() != self.kind) {
            let (name, kind, other) = (&self.name, self.kind, value.kind());
            return Some(format!("parameter '{name}' has type {kind}, but {value} has type {other}"));
        }
        if let Some((minimum, maximum)) = self.range
            && (self.kind != ParameterType::Integer || minimum > maximum)
        {
            return Some(format!("range {minimum} to {maximum} of parameter '{}' does not fit an INTEGER", self.name));
        }
        let default = self.default.as_ref()?;
        let refused = self.refuses(default)?;
        Some(format!("default {default} of parameter '{}' {refused}", self.name))
    }

    /// The reason for which a value of the right type is refused.
    fn refuses(&self, value: &ParameterValue) -> Option<String> {
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            let allowed: Vec<_> = self.allowed.iter().map(ToString::to_string).collect();
            return Some(format!("must be one of {}", allowed.join(", ")));
        }
        match (self.range, value) {
            (Some((minimum, maximum)), ParameterValue::Integer(number)) if !(minimum..=maximum).contains(number) => {
                Some(format!("must be within {minimum} to {maximum}"))
            }
            _ => None,
        }
    }
}

/// The problem of one parameter of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidParameter {
    /// Its name.
    pub parameter: String,
    /// A sentence fragment that goes on after the name.
    pub message: String,
}

/// Everything that is wrong with the parameters of a launch; nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidParameters {
    /// The errors, in the order in which the parameters were given.
    pub faults: Vec<InvalidParameter>,
}

impl std::error::Error for InvalidParameters {}

impl fmt::Display for InvalidParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}parameter '{}' {}", fault.parameter, fault.message)?;
        }
        Ok(())
    }
}

/// Checks given parameters against the declared ones (`None`: the job takes any) and fills in defaults.
pub(super) fn resolve(
    declared: Option<&[ParameterDeclaration]>,
    given: GivenParameters,
) -> Result<JobParameters, InvalidParameters> {
    let mut resolved = JobParameters::default();
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    if given.entries.len() > MAX_PARAMETERS {
        let (parameter, _) = &given.entries[MAX_PARAMETERS];
        let message = format!("is one too many: a launch takes at most {MAX_PARAMETERS} parameters");
        return Err(InvalidParameters { faults: vec![InvalidParameter { parameter: parameter.clone(), message }] });
    }
    for (name, value) in given.entries {
        let checked = if seen.insert(name.clone()) {
            check(declared, &name, value)
        } else {
            Err("is given more than once".to_owned())
        };
        match checked {
            Ok(parameter) => resolved.insert(&name, parameter),
            Err(message) => faults.push(InvalidParameter { parameter: name, message }),
        }
    }
    for declaration in declared.unwrap_or_default().iter().filter(|declaration| !seen.contains(&declaration.name)) {
        match &declaration.default {
            Some(value) => {
                let (identifying, secret) = (declaration.identifying, declaration.secret);
                resolved.insert(&declaration.name, Parameter { value: value.clone(), identifying, secret });
            }
            None if declaration.required => faults.push(InvalidParameter {
                parameter: declaration.name.clone(),
                message: format!("is required, of type {}", declaration.kind),
            }),
            None => {}
        }
    }
    if faults.is_empty() { Ok(resolved) } else { Err(InvalidParameters { faults }) }
}

fn check(declared: Option<&[ParameterDeclaration]>, name: &str, value: GivenValue) -> Result<Parameter, String> {
    if name.is_empty() {
        return Err("has an empty name".to_owned());
    }
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(format!("has a name longer than {MAX_NAME_CHARS} characters"));
    }
    let parameter = match declared {
        None => Parameter { value: value.detect()?, identifying: true, secret: false },
        Some(declarations) => {
            let declaration = declarations.iter().find(|declaration| declaration.name == name).ok_or_else(|| {
                let known: Vec<_> = declarations.iter().map(ParameterDeclaration::name).collect();
                match known.is_empty() {
                    true => "is unknown: the job takes no parameters".to_owned(),
                    false => format!("is unknown: the job takes {}", known.join(", ")),
                }
            })?;
            let value = value.convert(declaration.kind).map_err(|problem| match declaration.secret {
                // The sentence may repeat the value.
                true => format!("must be of type {}", declaration.kind),
                false => problem,
            })?;
            if let Some(refused) = declaration.refuses(&value) {
                return Err(refused);
            }
            Parameter { value, identifying: declaration.identifying, secret: declaration.secret }
        }
    };
    match &parameter.value {
        ParameterValue::String(text) if text.len() > MAX_STRING_BYTES => {
            Err(format!("is {} bytes long, over the limit of {MAX_STRING_BYTES}", text.len()))
        }
        ParameterValue::String(text) if text.contains('\0') => Err("has a NUL character".to_owned()),
        ParameterValue::Float(number) if !number.is_finite() => Err("must be a finite number".to_owned()),
        _ if name.contains('\0') => Err("has a NUL character in its name".to_owned()),
        _ => Ok(parameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<ParameterDeclaration> {
        vec![
            ParameterDeclaration::string("input").default_value("a.csv"),
            ParameterDeclaration::integer("size").allowed([10, 100]),
            ParameterDeclaration::date_time("day").required(),
            ParameterDeclaration::string("token").secret(),
        ]
    }

    fn resolve_json(json: &str) -> Result<JobParameters, InvalidParameters> {
        resolve(Some(&declared()), GivenParameters::from_json(json.as_bytes()).unwrap())
    }

    #[test]
    fn defaults_are_filled_in_and_take_part_in_the_identity() {
        let implicit = resolve_json(r#"{"day":"2024-01-01"}"#).unwrap();
        let explicit = resolve_json(r#"{"day":"2024-01-01","input":"a.csv"}"#).unwrap();
        assert_eq!(implicit, explicit);
        assert_eq!(implicit.string("input"), Ok("a.csv"));
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_name() {
        let faults = resolve_json(r#"{"size":7,"colour":"red","input":1,"input":"b"}"#).unwrap_err();
        insta_like(
            &faults,
            &[
                "parameter 'size' must be one of 10, 100",
                "parameter 'colour' is unknown: the job takes input, size, day, token",
                "parameter 'input' must be of type STRING, not the INTEGER 1",
                "parameter 'input' is given more than once",
                "parameter 'day' is required, of type DATETIME",
            ],
        );
    }

    fn insta_like(faults: &InvalidParameters, expected: &[&str]) {
        assert_eq!(faults.to_string(), expected.join("; "));
    }

    #[test]
    fn a_secret_does_not_identify() {
        let one = resolve_json(r#"{"day":"2024-01-01","token":"a"}"#).unwrap();
        let two = resolve_json(r#"{"day":"2024-01-01","token":"b"}"#).unwrap();
        assert_eq!(one.job_key(), two.job_key());
    }

    #[test]
    fn a_number_outside_of_its_range_is_refused_by_both_ends() {
        let declared = [ParameterDeclaration::integer("size").between(1, 10)];
        let of = |size: i64| resolve(Some(&declared), GivenParameters::default().with("size", size));
        assert!(of(1).is_ok() && of(10).is_ok());
        assert_eq!(of(0).unwrap_err().to_string(), "parameter 'size' must be within 1 to 10");
        assert!(of(11).is_err());
    }

    #[test]
    fn the_value_of_a_secret_is_in_no_fault() {
        let declared = [ParameterDeclaration::integer("pin").secret()];
        let given = GivenParameters::from_json(br#"{"pin":"hunter2"}"#).unwrap();
        let fault = resolve(Some(&declared), given).unwrap_err().to_string();
        assert_eq!(fault, "parameter 'pin' must be of type INTEGER");
    }

    #[test]
    fn a_declaration_that_contradicts_itself_says_so() {
        let of = |declaration: ParameterDeclaration| declaration.contradiction();
        assert!(of(ParameterDeclaration::string("a").default_value(1)).is_some());
        assert!(of(ParameterDeclaration::string("a").default_value("x").required()).is_some());
        assert!(of(ParameterDeclaration::integer("a").default_value(1).allowed([2])).is_some());
        assert!(of(ParameterDeclaration::integer("")).is_some());
        assert!(of(ParameterDeclaration::integer("a").between(2, 1)).is_some());
        assert!(of(ParameterDeclaration::string("a").between(1, 2)).is_some());
        assert!(of(ParameterDeclaration::integer("a").between(1, 9).default_value(10)).is_some());
        assert!(declared().into_iter().all(|declaration| declaration.contradiction().is_none()));
    }
}
