//! The check of what a launch gives against what its job accepts, and the values that it does not give.

use std::collections::HashSet;
use std::fmt;

use jiff::Timestamp;

use super::declaration::MAX_NAME_CHARS;
use super::rule::ParametersRule;
use super::{
    GivenParameters, GivenValue, JobParameters, Parameter, ParameterDeclaration, ParameterType, ParameterValue,
    RUN_PARAMETER, Secret, SecretValue,
};
use crate::secret::{Mask, check_secret_name};

/// Most parameters of one launch.
pub(super) const MAX_PARAMETERS: usize = 100;
/// Longest text of a STRING parameter in bytes; larger input belongs into a file whose path is the parameter.
pub(super) const MAX_STRING_BYTES: usize = 32 * 1024;

/// An error of one parameter of a launch, or of several together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidParameter {
    /// Its name; `None` where a rule over several refuses them.
    pub parameter: Option<String>,
    /// A sentence fragment that goes on after the name; the sentence of the rule where there is none.
    pub message: String,
}

/// Everything that is wrong with the parameters of a launch; nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidParameters {
    /// The errors, in the order in which the parameters were given; those of rules over several come last.
    pub errors: Vec<InvalidParameter>,
}

impl std::error::Error for InvalidParameters {}

impl fmt::Display for InvalidParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            match &error.parameter {
                Some(parameter) => write!(f, "{separator}parameter '{parameter}' {}", error.message)?,
                None => write!(f, "{separator}{}", error.message)?,
            }
        }
        Ok(())
    }
}

/// The declarations and rules of a job that a launch is checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted<'a> {
    /// The parameters that it declares; `None` for any.
    pub(super) declared: Option<&'a [ParameterDeclaration]>,
    /// Its rules over several.
    pub(super) rules: &'a [ParametersRule],
    /// `true` for a new run, whose number is chosen when it is stored.
    pub(super) new_run: bool,
}

/// The checked parameters of a launch, defaults included.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolved {
    /// All of them.
    pub(crate) parameters: JobParameters,
    /// Names of those that the moment of the launch has decided.
    pub(crate) computed: Vec<String>,
}

/// Checks given parameters against what a job accepts, and fills in defaults for a launch at `now`.
pub(super) fn resolve(
    accepted: Accepted<'_>,
    given: GivenParameters,
    now: Timestamp,
) -> Result<Resolved, InvalidParameters> {
    let declared = accepted.declared;
    let mut resolved = Resolved { parameters: JobParameters::default(), computed: Vec::new() };
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    if given.entries.len() > MAX_PARAMETERS {
        let (parameter, _) = &given.entries[MAX_PARAMETERS];
        let message = format!("is one too many: a launch takes at most {MAX_PARAMETERS} parameters");
        return Err(InvalidParameters { errors: vec![invalid(parameter, message)] });
    }
    if accepted.new_run {
        if let Some(message) = new_run_refusal(declared, &given) {
            return Err(InvalidParameters { errors: vec![invalid(RUN_PARAMETER, message)] });
        }
        // Neither required nor filled in.
        seen.insert(RUN_PARAMETER.to_owned());
    }
    for (name, value) in given.entries {
        let checked = if seen.insert(name.clone()) {
            check(declared, &name, value)
        } else {
            Err("is given more than once".to_owned())
        };
        match checked {
            Ok(parameter) => resolved.parameters.insert(&name, parameter),
            Err(message) => errors.push(invalid(&name, message)),
        }
    }
    for declaration in declared.unwrap_or_default().iter().filter(|declaration| !seen.contains(declaration.name())) {
        match default(declaration, now) {
            Ok(Some(parameter)) => {
                if declaration.default_expression_or_none().is_some() {
                    resolved.computed.push(declaration.name().to_owned());
                }
                resolved.parameters.insert(declaration.name(), parameter);
            }
            Ok(None) => {}
            Err(message) => errors.push(invalid(declaration.name(), message)),
        }
    }
    // A rule relies on what the declarations promise, and its sentence may repeat a secret.
    if errors.is_empty() {
        let mask = Mask::of(&resolved.parameters).activate();
        let refused = accepted.rules.iter().filter_map(|rule| rule.check(&resolved.parameters).err());
        errors.extend(refused.map(|message| InvalidParameter { parameter: None, message: mask.masked(message) }));
    }
    if errors.is_empty() { Ok(resolved) } else { Err(InvalidParameters { errors }) }
}

/// Why a new run cannot have its number.
fn new_run_refusal(declared: Option<&[ParameterDeclaration]>, given: &GivenParameters) -> Option<String> {
    if given.entries.iter().any(|(name, _)| name == RUN_PARAMETER) {
        return Some("is given, and a new run chooses it: leave out one of the two".to_owned());
    }
    let declaration = declared.unwrap_or_default().iter().find(|declaration| declaration.name() == RUN_PARAMETER)?;
    let takes_any = declaration.kind() == ParameterType::Integer
        && declaration.is_identifying()
        && declaration.range().is_none()
        && declaration.allowed_values().is_empty();
    let refusal = "cannot number new runs: the job has to declare it as an identifying INTEGER without range and allowed \
                   values, or not at all";
    (!takes_any).then(|| refusal.to_owned())
}

fn invalid(parameter: &str, message: String) -> InvalidParameter {
    InvalidParameter { parameter: Some(parameter.to_owned()), message }
}

/// The parameter of a launch that does not give it.
fn default(declaration: &ParameterDeclaration, now: Timestamp) -> Result<Option<Parameter>, String> {
    let value = match (declaration.default_or_none(), declaration.default_expression_or_none()) {
        (Some(value), _) => value.clone(),
        (None, Some(expression)) => {
            let of_default = |problem: String| format!("has the default expression '{expression}': {problem}");
            let value = expression.evaluate(now).map_err(|error| of_default(error.to_string()))?.into();
            if let Some(refused) = declaration.refuses(&value) {
                return Err(of_default(match declaration.is_secret() {
                    true => refused,
                    false => format!("{value} {refused}"),
                }));
            }
            value
        }
        (None, None) if declaration.is_required() => {
            return Err(format!("is required, of type {}", declaration.kind()));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(declared_as(declaration, value)))
}

/// A parameter with a value that its declaration takes.
fn declared_as(declaration: &ParameterDeclaration, value: ParameterValue) -> Parameter {
    match declaration.is_secret() {
        true => Parameter::secret(SecretValue::open(declaration.kind(), value.to_string())),
        false => Parameter { value, identifying: declaration.is_identifying(), secret: false },
    }
}

/// A secret parameter that refers to a named secret; its value is checked when the execution begins.
fn reference(declaration: &ParameterDeclaration, secret: String) -> Result<Parameter, String> {
    check_secret_name(&secret).map_err(|problem| format!("refers to '{secret}', which {problem}"))?;
    Ok(Parameter::secret(SecretValue::reference(declaration.kind(), secret)))
}

/// A parameter that its declaration takes.
fn check_declared(declaration: &ParameterDeclaration, given: GivenValue) -> Result<Parameter, String> {
    let is_secret = declaration.is_secret();
    let given = match given {
        GivenValue::SecretReference(secret) if is_secret => return reference(declaration, secret),
        GivenValue::Typed(ParameterValue::Secret(value)) if is_secret => match (value.reference_name(), value.opened())
        {
            (Some(secret), _) => return reference(declaration, secret.to_owned()),
            (None, Some(text)) => GivenValue::Text(text.expose().to_owned()),
            (None, None) => return Err("has no value".to_owned()),
        },
        given => given,
    };
    let value = given.convert(declaration.kind()).map_err(|problem| match is_secret {
        // The sentence may repeat the value.
        true => format!("must be of type {}", declaration.kind()),
        false => problem,
    })?;
    match declaration.refuses(&value) {
        Some(refused) => Err(refused),
        None => Ok(declared_as(declaration, value)),
    }
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
            let declaration = declarations.iter().find(|declaration| declaration.name() == name).ok_or_else(|| {
                let known: Vec<_> = declarations.iter().map(ParameterDeclaration::name).collect();
                match known.is_empty() {
                    true => "is unknown: the job takes no parameters".to_owned(),
                    false => format!("is unknown: the job takes {}", known.join(", ")),
                }
            })?;
            check_declared(declaration, value)?
        }
    };
    let text = match &parameter.value {
        ParameterValue::String(text) => text,
        ParameterValue::Secret(value) => value.opened().map_or("", Secret::expose),
        _ => "",
    };
    if text.len() > MAX_STRING_BYTES {
        return Err(format!("is {} bytes long, over the limit of {MAX_STRING_BYTES}", text.len()));
    }
    match &parameter.value {
        _ if text.contains('\0') => Err("has a NUL character".to_owned()),
        ParameterValue::Float(number) if !number.is_finite() => Err("must be a finite number".to_owned()),
        _ if name.contains('\0') => Err("has a NUL character in its name".to_owned()),
        _ => Ok(parameter),
    }
}

#[cfg(test)]
mod tests;
