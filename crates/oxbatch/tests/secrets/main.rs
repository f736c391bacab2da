//! Secret parameters through the real binary: each way to give one, each way in which the author's code says it, and a
//! search for it in all that the program answers, prints, logs, sends and stores.
//!
//! It is its own service: started with a command it is an ordinary `oxbatch` binary with jobs that say their secrets.
#![expect(clippy::print_stdout, reason = "a test program without a harness reports by itself")]

mod jobs;
#[path = "../logs/own_service.rs"]
mod own_service;
mod search;
mod service;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use oxbatch_test_postgres::TestDatabase;
use serde_json::{Value, json};

use jobs::{CODED, LEAKY, PANICKING};
use search::Forbidden;
use service::{Service, Store, text};

/// Given as it is; with characters that JSON, `Debug` and URLs escape.
const PASSWORD: &str = "Zq7\"x\\Tr%un4é-k9";
/// Another one, for the same idempotency key.
const OTHER: &str = "W0mbat\"\\other%é77";
/// A number that is a secret.
const PIN: &str = "90417735";
/// The content of the file to which references lead.
const NAMED: &str = "Fromf1le\"y\\Pl%ü-42";

type Check = fn(Store) -> Result<(), String>;

const CHECKS: [(&str, Check); 4] = [
    ("a_secret_is_nowhere_but_in_the_hands_of_the_author", a_secret_is_nowhere),
    ("without_a_key_or_a_folder_nothing_is_kept_in_clear", without_a_key_or_a_folder),
    ("a_rotated_key_still_opens_what_the_old_one_has_sealed", a_rotated_key),
    ("a_key_file_is_made_once_and_never_shown", a_key_file_is_made),
];

fn main() -> ExitCode {
    let of = |(name, check): (&str, Check)| -> own_service::Check<'static> {
        let check = move || Store::new(None).and_then(check).and(Store::new(Some(TestDatabase::new())).and_then(check));
        (name.to_owned(), Box::new(move || check().map(|()| String::new())))
    };
    own_service::main(jobs::registry, || CHECKS.map(of).into())
}

fn expect(condition: bool, found: impl std::fmt::Debug) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("{found:#?}")) }
}

/// A text of a JSON value.
fn said(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A receiver of webhooks that keeps what it is sent.
fn receiver() -> Result<(String, Arc<Mutex<String>>), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(text)?;
    let url = format!("http://{}/", listener.local_addr().map_err(text)?);
    let bodies = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&bodies);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (mut sent, mut buffer) = (Vec::new(), [0; 8192]);
            while let Ok(read) = stream.read(&mut buffer) {
                sent.extend_from_slice(&buffer[..read]);
                if read == 0 || sent.ends_with(b"}") {
                    break;
                }
            }
            kept.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&sent));
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    Ok((url, bodies))
}

/// Settings with a key, a folder of secrets, and a webhook.
fn set_up(store: &Store, url: &str) -> Result<(), String> {
    store.write("secrets/shop", &format!("{NAMED}\n"))?;
    let made = store.command(&["secrets", "key", "secrets/key"])?;
    expect(made.code == 0, made.said)?;
    let settings = format!(
        "[engine]\nsecrets_key_file = 'secrets/key'\nsecrets_dir = 'secrets'\n\
         [notices.hook]\non = ['failed']\nurl = '{url}'\nprivate = true\nbody = '{{\"text\": \"{{{{kind}}}}: {{{{message}}}}\"}}'\n"
    );
    store.write("oxbatch.toml", &settings)
}

/// Checks that the author's code has had the secret, and that it is masked in what it said.
fn is_masked(service: &Service, execution: &Value) -> Result<(), String> {
    let message = said(&execution["exit_message"]);
    expect(message.contains("login with *** and") && message.contains("[true, true, true]"), execution)?;
    expect(message.contains("the listener has seen ***"), message)?;
    let id = &execution["id"];
    let (_, log) = service.call("GET", &format!("/executions/{id}/logs"), None)?;
    expect(log.contains("logs in as admin:***@shop") && log.contains("shown *** ***"), &log)?;
    let steps = service.json("GET", &format!("/executions/{id}/steps"), None)?;
    if steps[0]["step_name"] != "Import" {
        // A restart, which passes over it.
        return Ok(());
    }
    let skips = service.json("GET", &format!("/steps/{}/skips", steps[0]["id"]), None)?;
    expect(said(&skips[0]["error"]).contains("is refused by ***"), &skips)
}

fn a_secret_is_nowhere(store: Store) -> Result<(), String> {
    let (url, bodies) = receiver()?;
    set_up(&store, &url)?;
    let forbidden = Forbidden::new(&[PASSWORD, OTHER, PIN, NAMED]);
    // In the foreground, as it is and by name, with all that is logged.
    for (n, given) in [format!("password={PASSWORD}"), "password:secret=shop".to_owned()].iter().enumerate() {
        let pin = format!("pin={PIN}");
        let n = format!("n={n}");
        let done = store.command(&["run", LEAKY, given, &pin, &n, "--log-level", "trace"])?;
        expect(done.code == 1 && done.said.contains("login with *** and *** refused"), &done.said)?;
        forbidden.check("the output of run", &done.said)?;
    }
    for job in [PANICKING, CODED] {
        let done = store.command(&["run", job, &format!("password={PASSWORD}"), "--log-level", "trace", "--json"])?;
        expect(done.said.contains("***"), &done.said)?;
        forbidden.check("the output of run", &done.said)?;
    }
    let shown = store.command(&["run", LEAKY, &format!("password={PASSWORD}"), "--preview", "3"])?;
    expect(shown.code == 0 && shown.said.contains("1 ***"), &shown.said)?;
    forbidden.check("the preview", &shown.said)?;

    let service = store.serve("log.json", &["--log-level", "trace", "--log-format", "json"])?;
    through_a_service(&store, &service, &forbidden)?;
    service.until("/notices", |notices| {
        notices.as_array().is_some_and(|all| all.iter().all(|notice| notice["state"] == "DELIVERED"))
    })?;
    let answers = forbidden.in_answers(&service)?;
    expect(answers > 100, answers)?;
    forbidden.in_commands(&store, &[LEAKY, PANICKING, CODED])?;
    // While it runs, with what is not in the file of the database yet.
    forbidden.in_what_is_kept(&store)?;
    service.terminate()?;
    forbidden.in_what_is_kept(&store)?;
    let sent = bodies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    expect(sent.contains("login with ***"), &sent)?;
    forbidden.check("a webhook", &sent)?;
    let log = std::fs::read_to_string(store.path("log.json")).map_err(text)?;
    expect(log.contains("login with ***") && log.contains("panicked: of ***"), log.len())
}

/// Each way in which a secret comes to a service.
fn through_a_service(store: &Store, service: &Service, forbidden: &Forbidden) -> Result<(), String> {
    let pin: i64 = PIN.parse().map_err(text)?;
    let plain = service.launch(LEAKY, &json!({"password": PASSWORD, "pin": pin, "n": 10}))?;
    is_masked(service, &plain)?;
    expect(plain["parameters"] == json!({"n": 10, "password": "***", "pin": "***"}), &plain)?;
    let named = service.launch(LEAKY, &json!({"password": {"secret": "shop"}, "n": 11}))?;
    is_masked(service, &named)?;
    expect(named["parameters"]["password"] == json!({"secret": "shop"}), &named)?;
    for job in [PANICKING, CODED] {
        let ended = service.launch(job, &json!({"password": PASSWORD}))?;
        expect(ended.to_string().contains("***"), ended)?;
    }
    // Restarted and run again: with what was kept.
    for id in [&plain["id"], &named["id"]] {
        is_masked(service, &service.restart(id)?)?;
        service.json("POST", &format!("/executions/{id}/skips/rerun?wait=1m"), None)?;
    }
    // The same launch is answered by the same execution; another secret makes another launch.
    let key = "Idempotency-Key: once\r\n";
    let mut launched = Vec::new();
    for password in [PASSWORD, PASSWORD, OTHER] {
        let body = json!({"password": password, "n": 12});
        launched.push(service.call_with("POST", &format!("/jobs/{LEAKY}/launch?wait=1m"), key, Some(&body))?);
    }
    expect(launched[1].1.contains("idempotency-replayed: true"), &launched[1])?;
    expect(launched[0].0 == 202 && launched[2].0 == 422, &launched[2])?;
    let preview = service.json("POST", &format!("/jobs/{LEAKY}/preview"), Some(&json!({"password": PASSWORD})))?;
    expect(preview["items"][0]["output"] == "1 ***", &preview)?;
    forbidden.check("the preview", &preview.to_string())?;
    // From the command line, through the database and over HTTP.
    let url = format!("http://{}", service.address);
    for (n, server) in [(20, None), (21, Some(url.as_str()))] {
        let (n, given) = (format!("n={n}"), format!("password={PASSWORD}"));
        let mut arguments = vec!["launch", LEAKY, n.as_str(), given.as_str(), "--wait"];
        arguments.extend(server.into_iter().flat_map(|server| ["--server", server]));
        let done = store.command(&arguments)?;
        expect(done.code == 1 && done.said.contains("***"), &done.said)?;
        forbidden.check("the output of launch", &done.said)?;
    }
    on_schedule(store, service, forbidden)
}

/// A schedule refers to a secret, and holds none.
fn on_schedule(store: &Store, service: &Service, forbidden: &Forbidden) -> Result<(), String> {
    let schedule = |password: Value| json!({"job": LEAKY, "name": "nightly", "cron": "0 3 * * *", "new_run": true, "parameters": {"password": password}});
    let (status, refused) = service.call("POST", "/schedules", Some(&schedule(PASSWORD.into())))?;
    expect((400..500).contains(&status) && refused.contains("a schedule gives it as a reference"), &refused)?;
    forbidden.check("the refusal of a schedule", &refused)?;
    let given = format!("password={PASSWORD}");
    let refused = store.command(&["schedules", "add", LEAKY, &given, "--cron", "0 3 * * *", "--new-run"])?;
    expect(refused.code == 2 && refused.said.contains("a schedule gives it as a reference"), &refused.said)?;
    forbidden.check("the refusal of a schedule", &refused.said)?;
    let added = service.json("POST", "/schedules", Some(&schedule(json!({"secret": "shop"}))))?;
    expect(added["parameters"]["password"]["secret"] == "shop", &added)?;
    service.json("POST", "/schedules/nightly/run", None)?;
    let of_schedule = format!("/executions?job={LEAKY}&limit=1");
    let newest =
        service.until(&of_schedule, |all| all[0]["parameters"].get("run").is_some() && all[0]["status"] == "FAILED")?;
    is_masked(service, &newest[0])
}

fn without_a_key_or_a_folder(store: Store) -> Result<(), String> {
    let forbidden = Forbidden::new(&[PASSWORD, NAMED]);
    let given = format!("password={PASSWORD}");
    let refused = store.command(&["run", LEAKY, &given])?;
    expect(refused.code == 2 && refused.said.contains("{\"secret\": \"NAME\"}"), &refused.said)?;
    expect(refused.said.contains("password:secret=NAME") && refused.said.contains("secrets key"), &refused.said)?;
    forbidden.check("the refusal", &refused.said)?;
    let service = store.serve("log", &["--log-level", "trace"])?;
    let (status, refused) =
        service.call("POST", &format!("/jobs/{LEAKY}/launch"), Some(&json!({"password": PASSWORD})))?;
    expect(status == 422 && refused.contains("password:secret=NAME"), &refused)?;
    forbidden.check("the refusal", &refused)?;
    let named = service.launch(LEAKY, &json!({"password": {"secret": "shop"}}))?;
    let message = said(&named["exit_message"]);
    expect(named["status"] == "FAILED" && message.contains("'password' refers to the secret 'shop'"), &named)?;
    expect(message.contains("has no folder of secrets (engine.secrets_dir)"), &named)?;
    let (status, refused) = service.call(
        "POST",
        &format!("/jobs/{LEAKY}/launch"),
        Some(&json!({"password": {"secret": "../oxbatch.toml"}})),
    )?;
    expect(status == 422 && refused.contains("is no name of a secret"), &refused)?;
    service.terminate()?;
    // A folder that does not hold it; once it does, the restart goes on.
    store.write("secrets/other", "x")?;
    let folder = ["--secrets-dir", "secrets"];
    let service = store.serve("log", &folder)?;
    let failed = service.restart(&named["id"])?;
    expect(said(&failed["exit_message"]).contains("cannot be read from the folder of secrets"), &failed)?;
    store.write("secrets/shop", NAMED)?;
    is_masked(&service, &service.restart(&failed["id"])?)?;
    service.terminate()?;
    forbidden.in_what_is_kept(&store)
}

fn a_rotated_key(store: Store) -> Result<(), String> {
    let with_key = ["--secrets-key-file", "secrets/key"];
    store.write("secrets/other", "")?;
    let made = store.command(&["secrets", "key", "secrets/key"])?;
    expect(made.code == 0, made.said)?;
    let given = format!("password={PASSWORD}");
    let run = store.command(&[&["run", LEAKY, given.as_str(), "n=1"][..], &with_key].concat())?;
    expect(run.code == 1 && run.said.contains("login with ***"), run.said)?;
    let rotated = store.command(&["secrets", "key", "secrets/key", "--rotate"])?;
    expect(rotated.code == 0, rotated.said)?;
    let again = store.command(&[&["restart", "1"][..], &with_key].concat())?;
    expect(again.code == 1 && again.said.contains("login with ***"), &again.said)?;
    // The old key alone cannot open what the new one seals.
    let sealed = store.command(&[&["run", LEAKY, given.as_str(), "n=2"][..], &with_key].concat())?;
    expect(sealed.code == 1, sealed.said)?;
    let keys = std::fs::read_to_string(store.path("secrets/key")).map_err(text)?;
    let old = keys.lines().nth(1).ok_or("no second key")?;
    std::fs::write(store.path("secrets/key"), old).map_err(text)?;
    let refused = store.command(&[&["restart", "3"][..], &with_key].concat())?;
    expect(refused.code == 1 && refused.said.contains("is encrypted with key"), &refused.said)?;
    let without = store.command(&["restart", "4"])?;
    expect(without.said.contains("this node has no key file (engine.secrets_key_file)"), &without.said)
}

fn a_key_file_is_made(store: Store) -> Result<(), String> {
    let made = store.command(&["secrets", "key", "key"])?;
    let key = std::fs::read_to_string(store.path("key")).map_err(text)?;
    expect(made.code == 0 && key.trim().len() == 64 && !made.said.contains(key.trim()), &made.said)?;
    let again = store.command(&["secrets", "key", "key"])?;
    expect(again.code == 2 && again.said.contains("exists: --rotate adds a key to it"), &again.said)?;
    expect(std::fs::read_to_string(store.path("key")).map_err(text)? == key, "it was changed")?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |mode| std::fs::set_permissions(store.path("key"), std::fs::Permissions::from_mode(mode));
        let metadata = std::fs::metadata(store.path("key")).map_err(text)?;
        expect(metadata.permissions().mode() & 0o777 == 0o600, metadata)?;
        mode(0o644).map_err(text)?;
        let open = store.command(&["run", CODED, "password=x", "--secrets-key-file", "key"])?;
        expect(open.code == 2 && open.said.contains("can be read by others: set its mode to 0600"), &open.said)?;
        mode(0o600).map_err(text)?;
    }
    let rotated = store.command(&["secrets", "key", "key", "--rotate"])?;
    let keys = std::fs::read_to_string(store.path("key")).map_err(text)?;
    expect(rotated.code == 0 && keys.lines().count() == 2 && keys.ends_with(&key), &rotated.said)?;
    let missing = store.command(&["secrets", "key", "none", "--rotate"])?;
    expect(missing.code == 2 && missing.said.contains("cannot be read"), &missing.said)
}
