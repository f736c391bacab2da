//! The list of jobs, the page of a job, the form of a launch, the preview.

use crate::harness::Service;

use super::{checked, led, page, send, service};

#[tokio::test]
async fn a_job_shows_a_field_for_each_parameter() {
    let service = Service::idle().await;
    assert!(page(&service, "/ui/jobs").await.has("a[href=/ui/jobs/Declared]"));
    let html = page(&service, "/ui/jobs/Declared").await;
    assert_eq!(html.one("input[name=p.input]").attribute("placeholder"), Some("default: in.csv"));
    assert_eq!(html.one("select[name=p.size]").text, "not given10100");
    let secret = html.one("input[name=p.token]");
    assert_eq!((secret.attribute("type"), secret.attribute("placeholder")), (Some("password"), Some("default: ***")));
    assert!(html.text("form.launch").contains("day required") && html.text("form.launch").contains("file to read"));
    assert!(!html.text("body").contains("hush"));
}

#[tokio::test]
async fn what_does_not_fit_is_said_at_its_field_and_nothing_is_lost() {
    let service = Service::idle().await;
    let fields = [("p.input", "a\"b.csv"), ("p.size", "7"), ("p.day", ""), ("p.share", "much")];
    let (status, html) = checked("launch", send(&service, "/ui/jobs/Declared/launch", &fields).await);
    assert_eq!(status, 422);
    assert_eq!(html.one("input[name=p.input]").attribute("value"), Some("a\"b.csv"));
    let hints = html.text("form.launch strong.no");
    assert!(hints.contains("must be given") || hints.contains("is required") || hints.contains("missing"), "{hints}");
    assert!(html.all("form.launch strong.no").len() >= 3, "{hints}");
    let (status, html) = checked("launch", send(&service, "/ui/jobs/Declared/launch", &[("json", "{\"day\": ")]).await);
    assert!((400..500).contains(&status) && html.text("p.notice.bad").contains("raw JSON"), "{}", html.text("main"));
    assert_eq!(html.one("textarea").text, "{\"day\": ");
    let (_, html) = checked(
        "launch",
        send(&service, "/ui/jobs/Declared/launch", &[("p.day", "2024-01-01"), ("priority", "9999")]).await,
    );
    assert!(html.text("p.notice.bad").contains("priority must be"), "{}", html.text("main"));
    assert_eq!(service.get("/executions").await.text, "[]");
}

#[tokio::test]
async fn a_form_that_is_sent_twice_launches_once() {
    let service = Service::idle().await;
    let key = page(&service, "/ui/jobs/Declared").await.field("key");
    let fields = [("key", key.as_str()), ("p.day", "2024-01-01"), ("p.size", "10"), ("p.input", ""), ("priority", "5")];
    for _ in 0..2 {
        let launched = send(&service, "/ui/jobs/Declared/launch", &fields).await;
        assert_eq!(launched.header("location"), Some("/ui/executions/1"), "{}", launched.text);
    }
    let html = page(&service, "/ui/executions/1").await;
    let parameters = html.text("dl.pairs");
    assert!(
        parameters.contains("day2024-01-01") && parameters.contains("inputin.csv") && parameters.contains("***"),
        "{parameters}"
    );
    assert!(!html.text("body").contains("hush") && html.text(".facts").contains("priority 5"));
    let (status, again) = checked("launch", send(&service, "/ui/jobs/Declared/launch", &fields[1..]).await);
    assert_eq!(status, 409);
    assert!(again.text("p.notice.bad").contains("running"), "{}", again.text("main"));
    service.post("/executions/1/stop").await;
    let html = page(&service, "/ui/executions/1").await;
    assert!(html.text("section.actions").contains("token=$SECRET"), "{}", html.text("section.actions"));
}

#[tokio::test]
async fn a_run_is_made_again_with_changes() {
    let service = service().await;
    service.run("Declared", r#"{"day": "2024-01-01", "size": 10, "input": "x.csv"}"#).await;
    let html = page(&service, "/ui/jobs/Declared?from=1").await;
    assert_eq!(html.one("input[name=p.input]").attribute("value"), Some("x.csv"));
    assert!(html.has("select[name=p.size] option[value=10][selected]"));
    assert_eq!(html.one("input[name=p.token]").attribute("value"), Some(""), "a secret is not given away");
    service.run("Trades", r#"{"fault": "bad"}"#).await;
    let raw = page(&service, "/ui/jobs/Trades?from=2").await;
    assert!(raw.text("textarea").contains("\"fault\": \"bad\""));
    let launched = send(&service, "/ui/jobs/Trades/launch", &[("json", "{\"fault\": \"none\"}")]).await;
    assert!(led(&service, &launched).await.one("h1").text.contains("Trades #3"));
}

#[tokio::test]
async fn a_preview_shows_records_in_and_out_and_writes_nothing() {
    let service = service().await;
    let (status, html) = checked("preview", send(&service, "/ui/jobs/Trades/preview", &[]).await);
    assert_eq!(status, 200);
    let summary = html.text("section#preview p");
    assert!(summary.contains("19 would be written, 0 filtered, 1 fail."), "{summary}");
    let failing = html.text("section#preview tr.fail");
    assert!(failing.contains("line 17") && failing.contains("bad"), "{failing}");
    let (_, html) = checked("preview", send(&service, "/ui/jobs/Chunky/preview", &[]).await);
    assert_eq!(html.all("section#preview tr.gone").len(), 10);
    let (status, html) = checked("preview", send(&service, "/ui/jobs/Trades/preview", &[("json", "[]")]).await);
    assert!((400..500).contains(&status) && html.has("p.notice.bad"));
    assert_eq!(service.get("/executions").await.text, "[]");
}

#[tokio::test]
async fn the_trend_has_a_bar_for_each_run() {
    let service = service().await;
    for day in 0..4 {
        service.run("Sample", &format!("{{\"day\": {day}}}")).await;
    }
    let html = page(&service, "/ui/jobs/Sample").await;
    assert_eq!(html.all("svg.trend rect.done").len(), 4);
    assert!(html.has("svg.trend a[href=/ui/executions/4]"));
    assert_eq!(html.all("section[aria-labelledby=runs] li").len(), 4);
    assert!(html.text("p.facts").contains("COMPLETED 4"), "{}", html.text("p.facts"));
}
