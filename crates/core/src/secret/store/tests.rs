//! Tests of how secrets are kept and opened.

use super::*;
use crate::{ParameterDeclaration, TaskStep};

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

fn job() -> Job {
    Job::builder("Download")
        .parameter(ParameterDeclaration::string("password").secret())
        .parameter(ParameterDeclaration::integer("pin").secret().between(1000, 9999))
        .step(TaskStep::builder("Only", |_| Ok(())))
        .build()
        .unwrap()
}

fn given(password: SecretValue) -> JobParameters {
    let mut parameters = JobParameters::default().with("day", 1);
    parameters.insert("password", Parameter::secret(password));
    parameters
}

fn open_text(text: &str) -> SecretValue {
    SecretValue::open(ParameterType::String, text)
}

fn with_key() -> Secrets {
    Secrets::default().with_keys(KeyRing::parse(KEY.as_bytes()).unwrap())
}

fn refused(secrets: &Secrets, parameters: &JobParameters) -> String {
    crate::execution::cause_chain(&secrets.open(&job(), parameters).unwrap_err())
}

#[test]
fn a_text_is_stored_encrypted_and_opened_for_the_execution() {
    let secrets = with_key();
    let mut parameters = given(open_text("hunter2"));
    secrets.keep("Download", &mut parameters).unwrap();
    let stored = parameters.to_json();
    assert!(!stored.contains("hunter2") && !format!("{parameters:?}").contains("hunter2"), "{stored}");
    let read = JobParameters::from_json(&stored).unwrap();
    assert_eq!(read, parameters);
    let Opened { parameters: opened, mask } = secrets.open(&job(), &read).unwrap();
    assert_eq!(opened.secret("password").unwrap().expose(), "hunter2");
    assert_eq!(mask.apply("hunter2 it is"), "*** it is");
    // A restart keeps what was kept.
    let mut again = read.clone();
    secrets.keep("Download", &mut again).unwrap();
    assert_eq!(again, read);
}

#[test]
fn without_a_key_a_text_is_refused_with_both_ways_out() {
    let mut parameters = given(open_text("hunter2"));
    let refused = Secrets::default().keep("Download", &mut parameters).unwrap_err().to_string();
    assert_eq!(
        refused,
        "parameter 'password' is secret, and nothing here can encrypt it: give a reference to a named secret, \
         {\"secret\": \"NAME\"} (on the command line password:secret=NAME), or make a key by 'oxbatch secrets key FILE' and \
         name it by engine.secrets_key_file"
    );
    let mut by_name = given(SecretValue::reference(ParameterType::String, "db"));
    let before = by_name.clone();
    Secrets::default().keep("Download", &mut by_name).unwrap();
    assert_eq!(by_name, before);
}

#[test]
fn a_text_that_cannot_be_decrypted_says_why() {
    let mut parameters = given(open_text("hunter2"));
    with_key().keep("Download", &mut parameters).unwrap();
    let key = with_key().keys.unwrap().id().to_owned();
    assert_eq!(
        refused(&Secrets::default(), &parameters),
        format!(
            "the secret parameter 'password' is encrypted with key {key}, and this node has no key file (engine.secrets_key_file)"
        )
    );
    let other = KeyRing::parse(KEY.replace('1', "2").as_bytes()).unwrap();
    let known = other.id().to_owned();
    assert_eq!(
        refused(&Secrets::default().with_keys(other), &parameters),
        format!("the secret parameter 'password' is encrypted with key {key}; the key file of this node has {known}")
    );
    // The encrypted text of one parameter in the place of another.
    let moved = parameters.get("password").unwrap().clone();
    parameters.insert("pin", moved);
    assert_eq!(
        refused(&with_key(), &parameters),
        "the secret parameter 'pin' cannot be decrypted: its encrypted text was changed"
    );
    let hidden = given(SecretValue::hidden(ParameterType::String));
    assert!(refused(&with_key(), &hidden).contains("was not kept: launch the job again with it"));
}

#[test]
fn a_reference_is_looked_up_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    let secrets = Secrets::default().with_folder(folder.path());
    let refer = |name: &str| given(SecretValue::reference(ParameterType::String, name));
    write("db", b"hunter2\r\n");
    write("spaces", b" a b \n\n");
    let text = |name: &str| secrets.open(&job(), &refer(name)).unwrap().parameters.secret("password").unwrap().clone();
    assert_eq!((text("db").expose(), text("spaces").expose()), ("hunter2", " a b \n"));
    write("empty", b"\n");
    write("binary", &[0xff, 0xfe]);
    write("nul", b"a\0b");
    write("long", &vec![b'x'; 32 * 1024 + 1]);
    let of = |name: &str| format!("the secret parameter 'password' refers to the secret '{name}', which ");
    for (name, problem) in [
        ("empty", "is empty"),
        ("binary", "is not UTF-8"),
        ("nul", "has a NUL character"),
        ("long", "is longer than 32 KiB"),
    ] {
        assert_eq!(refused(&secrets, &refer(name)), format!("{}{problem}", of(name)));
    }
    let missing = refused(&secrets, &refer("none"));
    assert!(missing.starts_with(&format!("{}cannot be read from the folder", of("none"))), "{missing}");
    assert!(refused(&secrets, &refer("../db")).contains("is no name of a secret"));
    assert!(refused(&Secrets::default(), &refer("db")).contains("has no folder of secrets (engine.secrets_dir)"));
    // Of another type, and outside of its range; neither shows the value.
    for (content, problem) in [("hunter2", "must be of type INTEGER"), ("77777", "must be within 1000 to 9999")] {
        write("pin", content.as_bytes());
        let mut parameters = JobParameters::default();
        parameters.insert("pin", Parameter::secret(SecretValue::reference(ParameterType::Integer, "pin")));
        let sentence = format!("the secret parameter 'pin' refers to the secret 'pin', which {problem}");
        assert_eq!(refused(&secrets, &parameters), sentence);
    }
}

#[test]
fn a_name_is_never_a_path() {
    for name in ["db", "db-password_2.txt", "A", &"x".repeat(253)] {
        assert_eq!(check_secret_name(name), Ok(()), "{name}");
    }
    for name in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a b", "ä", "a\0", &"x".repeat(254)] {
        assert!(check_secret_name(name).is_err(), "{name}");
    }
}

#[test]
fn launches_are_compared_by_what_no_guess_can_be_checked_against() {
    let digest = |secrets: &Secrets, value: &SecretValue| secrets.digest("Download", "password", value);
    let (one, two) = (open_text("hunter2"), open_text("hunter3"));
    assert_eq!(digest(&with_key(), &one), digest(&with_key(), &one));
    assert_ne!(digest(&with_key(), &one), digest(&with_key(), &two));
    let plain = crate::access::hash_of("hunter2");
    assert_ne!(digest(&with_key(), &one), plain);
    assert_eq!(digest(&Secrets::default(), &one), "");
}
