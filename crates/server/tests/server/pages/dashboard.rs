//! The first page.

use crate::harness::{Service, Settings};

use super::{jobs, page, service};

#[tokio::test]
async fn a_newcomer_is_told_what_to_press() {
    let service = Service::idle().await;
    let html = page(&service, "/").await;
    assert_eq!(html.one("h1").text, "Nothing has run yet");
    let links = html.all("a.card");
    assert!(links.iter().any(|link| link.attribute("href") == Some("/ui/jobs/Sample")), "{}", html.text("main"));
    assert!(links.iter().any(|link| link.attribute("href") == Some("/ui/jobs/n%C3%A4me%20%26%20co")));
}

#[tokio::test]
async fn what_failed_what_runs_and_how_the_last_runs_ended_stand_on_it() {
    let service = service().await;
    service.run("Trades", "{}").await;
    service.run("Sample", "{}").await;
    let endless = service.post("/jobs/Endless/launch").await.json()["execution_id"].as_i64().unwrap();
    service.until_in_step(endless, "Wait").await;
    let html = page(&service, "/").await;
    let failed = html.text("section[aria-labelledby=failed]");
    assert!(failed.contains("Trades #1") && failed.contains("column 'cost': bad"), "{failed}");
    assert!(!failed.contains("secret"), "{failed}");
    let running = html.text("section[aria-labelledby=running]");
    assert!(running.contains("Endless #3") && running.contains("50 %"), "{running}");
    assert_eq!(html.one("section[aria-labelledby=running] progress").attribute("value"), Some("50"));
    let strips = html.text("section[aria-labelledby=recent]");
    assert!(strips.contains("1 of the last 1 failed") && strips.contains("none of the last 1 failed"), "{strips}");
    assert!(html.has("a.cell.fail[href=/ui/executions/1]"));
    assert!(html.text("section[aria-labelledby=nodes]").contains("1 of 8 slots in use"), "{}", html.text("main"));
    assert_eq!(html.one("body").attribute("data-live"), Some("all"));
}

#[tokio::test]
async fn what_waits_says_why() {
    let service = Service::idle().await;
    service.post("/jobs/Sample/launch").await;
    let waiting = page(&service, "/").await.text("section[aria-labelledby=waiting]");
    assert!(waiting.contains("no node that takes work knows the job Sample"), "{waiting}");
    let service = Service::with(Settings { idle: true, jobs: jobs(), ..Settings::default() }).await;
    service.post_json("/jobs/Trades/launches/pause", r#"{"reason": "the file is late"}"#).await;
    service.post("/jobs/Trades/launch").await;
    let waiting = page(&service, "/").await.text("section[aria-labelledby=waiting]");
    assert!(waiting.contains("the file is late"), "{waiting}");
}

#[tokio::test]
async fn a_program_is_led_to_the_description_of_the_interface() {
    let service = Service::idle().await;
    assert_eq!(service.get("/").await.status, 303);
}
