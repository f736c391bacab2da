//! Tests of the check of what a launch gives.

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
    let declared =
        [ParameterDeclaration::string("region").pattern("[A-Z]{2}", "a country code such as DE"), declared().remove(0)];
    let given = |json: &str| of(&declared, GivenParameters::from_json(json.as_bytes()).unwrap());
    assert!(given(r#"{"region":"FR"}"#).is_ok());
    assert_errors(
        &given(r#"{"region":"France"}"#).unwrap_err(),
        &["parameter 'region' must be a country code such as DE"],
    );
}

#[test]
fn rules_over_several_parameters_are_asked_once_each_is_right_and_all_of_them_answer() {
    let declared = [ParameterDeclaration::integer("from").required(), ParameterDeclaration::integer("to").required()];
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
