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

    fn of(declared: &[ParameterDeclaration], given: GivenParameters) -> Result<JobParameters, InvalidParameters> {
        let accepted = Accepted { declared: Some(declared), rules: &[], new_run: false };
        resolve(accepted, given, Timestamp::UNIX_EPOCH).map(|resolved| resolved.parameters)
    }

    fn resolve_json(json: &str) -> Result<JobParameters, InvalidParameters> {
        of(&declared(), GivenParameters::from_json(json.as_bytes()).unwrap())
    }

    #[test]
    fn defaults_are_filled_in_and_take_part_in_the_identity() {
        let implicit = resolve_json(r#"{"day":"2024-01-01"}"#).unwrap();
        let explicit = resolve_json(r#"{"day":"2024-01-01","input":"a.csv"}"#).unwrap();
        assert_eq!(implicit, explicit);
        assert_eq!(implicit.string("input"), Ok("a.csv"));
    }

    #[test]
    fn every_error_is_reported_at_once_with_its_name() {
        let errors = resolve_json(r#"{"size":7,"colour":"red","input":1,"input":"b"}"#).unwrap_err();
        assert_errors(
            &errors,
            &[
                "parameter 'size' must be one of 10, 100",
                "parameter 'colour' is unknown: the job takes input, size, day, token",
                "parameter 'input' must be of type STRING, not the INTEGER 1",
                "parameter 'input' is given more than once",
                "parameter 'day' is required, of type DATETIME",
            ],
        );
    }

    fn assert_errors(errors: &InvalidParameters, expected: &[&str]) {
        assert_eq!(errors.to_string(), expected.join("; "));
    }

    fn day() -> ParameterValue {
        crate::DateTime::parse("2024-01-01").unwrap().into()
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
        let sized = |size: i64| of(&declared, GivenParameters::default().with("size", size));
        assert!(sized(1).is_ok() && sized(10).is_ok());
        assert_eq!(sized(0).unwrap_err().to_string(), "parameter 'size' must be within 1 to 10");
        assert!(sized(11).is_err());
    }

    #[test]
    fn the_value_of_a_secret_is_in_no_fault() {
        let declared = [ParameterDeclaration::integer("pin").secret()];
        let given = GivenParameters::from_json(br#"{"pin":"hunter2"}"#).unwrap();
        let error = of(&declared, given).unwrap_err().to_string();
        assert_eq!(error, "parameter 'pin' must be of type INTEGER");
        let declared = [ParameterDeclaration::string("colour").secret().allowed(["blue"])];
        let error = of(&declared, GivenParameters::default().with("colour", "red")).unwrap_err().to_string();
        assert_eq!(error, "parameter 'colour' is none of the values that it may have");
        let rules = [ParametersRule::new(|parameters| match parameters.secret("token") {
            Ok(token) => Err(format!("the token {} is too short", token.expose())),
            Err(_) => Ok(()),
        })];
        let declared = [ParameterDeclaration::string("token").secret()];
        let accepted = Accepted { declared: Some(&declared), rules: &rules, new_run: false };
        let resolved = resolve(accepted, GivenParameters::default().with("token", "hunter2"), Timestamp::UNIX_EPOCH);
        assert_eq!(resolved.unwrap_err().to_string(), "the token *** is too short");
    }

    #[test]
    fn a_reference_is_for_a_secret_alone() {
        let refer = |name: &str, secret: &str| {
            let given = GivenParameters::default().with_secret_reference(name, secret).with("day", day());
            of(&declared(), given).map_err(|error| error.to_string())
        };
        let token = refer("token", "db").unwrap().get("token").unwrap().clone();
        assert_eq!((token.value.to_string().as_str(), token.secret, token.identifying), ("*** (db)", true, false));
        assert_eq!(
            refer("input", "db").unwrap_err(),
            "parameter 'input' is not declared secret: it takes a value, and no reference"
        );
        assert!(refer("token", "../db").unwrap_err().contains("which is no name of a secret"));
        let undeclared = Accepted { declared: None, rules: &[], new_run: false };
        let given = GivenParameters::default().with_secret_reference("token", "db");
        let error = resolve(undeclared, given, Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert_eq!(error, "parameter 'token' is not declared secret: it takes a value, and no reference");
    }

    #[test]
    fn an_expression_is_evaluated_for_the_moment_of_the_launch_and_identifies_like_a_given_value() {
        let declared = [ParameterDeclaration::date_time("day").default_expression("yesterday in Europe/Berlin")];
        let accepted = Accepted { declared: Some(&declared), rules: &[], new_run: false };
        let now = "2026-03-01T23:30:00Z".parse().unwrap();
        let computed = resolve(accepted, GivenParameters::default(), now).unwrap();
        assert_eq!(computed.computed, ["day"]);
        let day = crate::DateTime::parse("2026-03-01").unwrap();
        let given = resolve(accepted, GivenParameters::default().with("day", day), now).unwrap();
        assert_eq!(given.computed, Vec::<String>::new());
        assert_eq!(computed.parameters.job_key(), given.parameters.job_key());
        assert!(computed.parameters.date_time("day").unwrap().is_date());
    }

    #[test]
    fn an_expression_without_a_fitting_value_is_an_error_of_its_parameter() {
        let day = crate::DateTime::parse("2026-01-01").unwrap();
        for (declaration, expected) in [
            (
                ParameterDeclaration::date_time("until").default_expression("today + 9000 years"),
                "parameter 'until' has the default expression 'today + 9000 years': its value is outside of the years 0001 to 9999",
            ),
            (
                ParameterDeclaration::date_time("until").default_expression("today").allowed([day]),
                "parameter 'until' has the default expression 'today': 1970-01-01 must be one of 2026-01-01",
            ),
        ] {
            assert_errors(&of(&[declaration], GivenParameters::default()).unwrap_err(), &[expected]);
        }
    }

    #[test]
    fn a_new_run_is_given_no_number_and_refuses_a_declaration_that_would_not_take_each() {
        let new_run = |declared: &[ParameterDeclaration], given: GivenParameters| {
            let accepted = Accepted { declared: Some(declared), rules: &[], new_run: true };
            let resolved = resolve(accepted, given, Timestamp::UNIX_EPOCH);
            resolved.map(|resolved| resolved.parameters.len()).map_err(|error| error.to_string())
        };
        let run = || ParameterDeclaration::integer("run");
        let none = GivenParameters::default;
        for declared in [vec![], vec![run()], vec![run().required()], vec![run().default_value(3)]] {
            assert_eq!(new_run(&declared, none()), Ok(0), "{declared:?}");
        }
        for declaration in
            [ParameterDeclaration::string("run"), run().non_identifying(), run().between(1, 9), run().allowed([1])]
        {
            let refused = new_run(&[declaration], none()).unwrap_err();
            assert!(refused.starts_with("parameter 'run' cannot number new runs"), "{refused}");
        }
        assert_eq!(
            new_run(&[run()], none().with("run", 3)).unwrap_err(),
            "parameter 'run' is given, and a new run chooses it: leave out one of the two"
        );
    }

    #[test]
    fn a_text_that_does_not_match_is_refused_with_the_description_of_the_pattern() {
        let declared = [
            ParameterDeclaration::string("region").pattern("[A-Z]{2}", "a country code such as DE"),
            declared().remove(0),
        ];
        let given = |json: &str| of(&declared, GivenParameters::from_json(json.as_bytes()).unwrap());
        assert!(given(r#"{"region":"FR"}"#).is_ok());
        assert_errors(
            &given(r#"{"region":"France"}"#).unwrap_err(),
            &["parameter 'region' must be a country code such as DE"],
        );
    }

    #[test]
    fn rules_over_several_parameters_are_asked_once_each_is_right_and_all_of_them_answer() {
        let declared =
            [ParameterDeclaration::integer("from").required(), ParameterDeclaration::integer("to").required()];
        let rules = [
            ParametersRule::new(|parameters| match (parameters.integer("from"), parameters.integer("to")) {
                (Ok(from), Ok(to)) if from > to => Err(format!("from ({from}) must not be greater than to ({to})")),
                (from, to) => from.and(to).map(|_| ()).map_err(|error| error.to_string()),
            }),
            ParametersRule::new(|parameters| match parameters.integer("to") {
                Ok(to) if to > 100 => panic!("{to} was never tried"),
                _ => Ok(()),
            }),
        ];
        let accepted = Accepted { declared: Some(&declared), rules: &rules, new_run: false };
        let of = |json: &str| {
            let given = GivenParameters::from_json(json.as_bytes()).unwrap();
            resolve(accepted, given, Timestamp::UNIX_EPOCH).map_err(|error| error.to_string()).map(|_| ())
        };
        assert_eq!(of(r#"{"from":1,"to":2}"#), Ok(()));
        assert_eq!(of(r#"{"from":3,"to":2}"#).unwrap_err(), "from (3) must not be greater than to (2)");
        assert_eq!(
            of(r#"{"from":300,"to":200}"#).unwrap_err(),
            "from (300) must not be greater than to (200); a rule over the parameters panicked: 200 was never tried"
        );
        assert_eq!(of(r#"{"to":1}"#).unwrap_err(), "parameter 'from' is required, of type INTEGER");
    }
}
