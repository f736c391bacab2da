//! The pages over the real router: what each shows, what its forms do, and what no value breaks.

mod access;
mod actions;
mod dashboard;
mod execution;
mod executions;
mod faults;
mod html;
mod jobs;
mod links;
mod lists;

use axum::body::Body;
use oxbatch_core::item::{FunctionProcessor, FunctionWriter, ListReader};
use oxbatch_core::{ChunkStep, ItemError, Job, StepContext, TaskStep};

use crate::harness::{Answer, Service, Settings, request};
use html::Html;

/// A value that would break out of a page, or turn it around.
pub(crate) const HOSTILE: &str = "\"><script>alert(1)</script>'&\u{202e}x\u{1b}[2K";
/// A name that is as bad as a name may be.
pub(crate) const HOSTILE_NAME: &str = "\"><img src=x onerror=alert(1)>&amp; {{7}}";

/// Most bytes of a page.
const MOST_BYTES: usize = 100 * 1024;

/// Asks for a page as a browser does, and checks what holds for every page.
pub(crate) async fn page(service: &Service, path: &str) -> Html {
    let (status, html) = page_with(service, path, "").await;
    assert_eq!(status, 200, "{path}: {}", html.text("main"));
    html
}

/// The same with a cookie and any status.
pub(crate) async fn page_with(service: &Service, path: &str, cookie: &str) -> (u16, Html) {
    let asked = request("GET", path).header("accept", "text/html,*/*;q=0.8").header("cookie", cookie);
    checked(path, service.send(asked.body(Body::empty()).unwrap()).await)
}

/// Sends the form of a page, and gives the answer.
pub(crate) async fn send(service: &Service, path: &str, fields: &[(&str, &str)]) -> Answer {
    send_with(service, path, fields, "").await
}

/// The same with a cookie.
pub(crate) async fn send_with(service: &Service, path: &str, fields: &[(&str, &str)], cookie: &str) -> Answer {
    let body: String = fields.iter().map(|(name, value)| format!("{}={}&", encoded(name), encoded(value))).collect();
    let sent = request("POST", path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "http://localhost:8000")
        .header("accept", "text/html")
        .header("cookie", cookie);
    service.send(sent.body(Body::from(body)).unwrap()).await
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The page of an answer, checked.
pub(crate) fn checked(path: &str, answer: Answer) -> (u16, Html) {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}: {answer:?}");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self'") && policy.contains("form-action 'self'") && !policy.contains("unsafe")
    );
    assert!(answer.text.len() < MOST_BYTES, "{path} has {} bytes", answer.text.len());
    let html = Html::parse(&answer.text);
    assert!(html.errors.is_empty(), "{path}: {:?}\n{}", html.errors, answer.text);
    html.check(path);
    (answer.status.as_u16(), html)
}

/// The page that an answer leads to.
pub(crate) async fn led(service: &Service, answer: &Answer) -> Html {
    assert_eq!(answer.status, 303, "{}", answer.text);
    page(service, answer.header("location").unwrap()).await
}

/// A job that fails at a record of a file, unless it is told not to; and one whose names are hostile.
pub(crate) fn jobs() -> Vec<Job> {
    let failing = ChunkStep::builder("Import")
        .reader(|_| Ok(ListReader::new(1..=30_i64)))
        .processor(|context: &StepContext| {
            let fault = context.parameters().optional_string("fault")?.unwrap_or("bad").to_owned();
            Ok(FunctionProcessor::new(move |n: i64| match n == 17 && fault != "none" {
                true => Err(ItemError::validation(format!("column 'cost': {fault}"))
                    .in_file(std::path::Path::new("data/trades.csv"))
                    .at("line 17")
                    .with_raw("17,<b>\"secret\"</b>,x")),
                false => Ok(Some(n)),
            }))
        })
        .writer(|_| Ok(FunctionWriter::new(|_: &[i64]| Ok(()))))
        .chunk_size(5)
        .preview();
    vec![
        Job::builder("Trades").step(TaskStep::builder("Fetch", fetch)).step(failing).build().unwrap(),
        Job::builder(HOSTILE_NAME)
            .description(HOSTILE)
            .step(TaskStep::builder(HOSTILE_NAME, |_| -> Result<(), oxbatch_core::BoxError> { Err(HOSTILE.into()) }))
            .build()
            .unwrap(),
    ]
}

/// Puts into both contexts: short, long and hostile values.
fn fetch(context: &StepContext) -> Result<(), oxbatch_core::BoxError> {
    context.put("files", ["a.csv", HOSTILE])?;
    context.put("long", "<x>".repeat(10_000))?;
    context.put_into_job("total", 30)?;
    Ok(context.put_into_job(HOSTILE_NAME, "x".repeat(500))?)
}

/// A service with those jobs.
pub(crate) async fn service() -> Service {
    Service::with(Settings { jobs: jobs(), ..Settings::default() }).await
}
