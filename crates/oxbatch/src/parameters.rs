//! Parameters as they are typed: `KEY=VALUE`, `KEY:TYPE=VALUE`, or `KEY:secret=NAME` for a named secret.

use std::collections::HashMap;

use oxbatch_core::job::{GivenParameters, GivenValue, ParameterType};
use oxbatch_core::{DateTime, ParameterValue};
use serde_json::{Map, Value};

use crate::error::CliError;

/// The parameters of a launch.
pub(crate) fn given(parameters: &[String]) -> Result<GivenParameters, CliError> {
    Ok(GivenParameters { entries: parameters.iter().map(|argument| entry(argument)).collect::<Result<_, _>>()? })
}

/// The word in place of a type that makes the value the name of a secret.
const SECRET: &str = "secret";

/// A parameter as it is typed: `KEY=VALUE`, or `KEY:TYPE=VALUE`. A colon that no type follows belongs to the key.
fn entry(argument: &str) -> Result<(String, GivenValue), CliError> {
    let (key, value) =
        argument.split_once('=').ok_or_else(|| CliError::NoParameter { argument: argument.to_owned() })?;
    if let Some((name, kind)) = key.rsplit_once(':')
        && kind.eq_ignore_ascii_case(SECRET)
    {
        return Ok((name.to_owned(), GivenValue::SecretReference(value.to_owned())));
    }
    let text = GivenValue::Text(value.to_owned());
    let typed = key.rsplit_once(':').and_then(|(name, kind)| Some((name, named_type(kind)?)));
    let Some((name, kind)) = typed else { return Ok((key.to_owned(), text)) };
    let value = text.convert(kind).map_err(|problem| CliError::ParameterType { name: name.to_owned(), problem })?;
    Ok((name.to_owned(), GivenValue::Typed(value)))
}

fn named_type(name: &str) -> Option<ParameterType> {
    ParameterType::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name))
}

/// The parameters as the body of a launch over HTTP. Of a parameter that the job declares as a STRING a number is sent
/// as a text.
pub(crate) fn to_json(
    parameters: &[String],
    declared: &HashMap<String, ParameterType>,
) -> Result<Map<String, Value>, CliError> {
    parameters
        .iter()
        .map(|argument| entry(argument))
        .map(|given| given.and_then(|given| json(given, declared)))
        .collect()
}

fn json(
    (name, given): (String, GivenValue),
    declared: &HashMap<String, ParameterType>,
) -> Result<(String, Value), CliError> {
    let refuse = |problem: String| CliError::ParameterType { name: name.clone(), problem };
    if let GivenValue::SecretReference(secret) = given {
        return Ok((name, serde_json::json!({ SECRET: secret })));
    }
    let is_typed = matches!(given, GivenValue::Typed(_));
    let kind = declared.get(&name).copied();
    let value = match (&given, kind) {
        (GivenValue::Text(text), Some(ParameterType::String)) => ParameterValue::String(text.clone()),
        _ => given.detect().map_err(refuse)?,
    };
    let value = match value {
        ParameterValue::String(text) if is_typed && kind.is_none() && DateTime::parse(&text).is_ok() => {
            return Err(refuse("reads as a date, and the service would take it for one".to_owned()));
        }
        ParameterValue::String(text) => text.into(),
        ParameterValue::Integer(number) => number.into(),
        ParameterValue::Float(number) => number.into(),
        ParameterValue::DateTime(instant) => instant.to_string().into(),
        ParameterValue::Secret(value) => value.to_string().into(),
    };
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_behind_the_key_decides() {
        let of = |argument: &str| entry(argument).map(|(key, value)| (key, value.detect().unwrap().to_string()));
        for (argument, key, shown) in [
            ("account=00123", "account", "00123"),
            ("account:string=123", "account", "123"),
            ("day:String=2024-01-31", "day", "2024-01-31"),
            ("rate:float=3", "rate", "3.0"),
            ("n:integer=7", "n", "7"),
            ("at:datetime=2024-01-31", "at", "2024-01-31"),
            ("urn:x=1", "urn:x", "1"),
            ("filter=a:string=b", "filter", "a:string=b"),
        ] {
            assert_eq!(of(argument).unwrap(), (key.to_owned(), shown.to_owned()), "{argument}");
        }
        let (_, value) = entry("account:string=12345678901234567890").unwrap();
        assert_eq!(value, GivenValue::Typed("12345678901234567890".into()));
        for argument in ["n:integer=x", "at:datetime=soon", "rate:float=1e999", "rate:float=abc"] {
            assert!(entry(argument).unwrap_err().to_string().contains("parameter '"), "{argument}");
        }
    }

    #[test]
    fn a_named_secret_is_no_type_and_stays_a_name() {
        assert_eq!(entry("password:secret=db").unwrap(), ("password".into(), GivenValue::SecretReference("db".into())));
        let body = to_json(&["password:Secret=db".to_owned()], &HashMap::new()).unwrap();
        assert_eq!(Value::Object(body), serde_json::json!({"password": {"secret": "db"}}));
    }

    #[test]
    fn the_body_of_a_launch_has_the_types_of_json() {
        let declared = HashMap::from([("account".to_owned(), ParameterType::String)]);
        let arguments = ["account=123", "n=7", "rate:float=3", "day=2024-01-31", "name=x"].map(str::to_owned);
        let body = to_json(&arguments, &declared).unwrap();
        let expected = serde_json::json!({"account": "123", "n": 7, "rate": 3.0, "day": "2024-01-31", "name": "x"});
        assert_eq!(Value::Object(body), expected);
        assert!(to_json(&["day:string=2024-01-31".to_owned()], &HashMap::new()).is_err());
    }
}
