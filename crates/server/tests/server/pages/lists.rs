//! Schedules, backfills, nodes, bulk work, notices.

use crate::harness::{Service, until};

use super::{checked, led, page, send, service};

const NIGHTLY: &str = r#"{"job": "Sample", "name": "nightly", "cron": "30 2 * * *", "zone": "Europe/Berlin",
    "parameters": {"day": {"expression": "fire date - 1 day"}}}"#;

#[tokio::test]
async fn a_schedule_shows_its_next_fires_in_its_zone_is_paused_resumed_and_run() {
    let service = Service::start().await;
    assert!(page(&service, "/ui/schedules").await.text("p.empty").contains("oxbatch schedules add"));
    assert_eq!(service.post_json("/schedules", NIGHTLY).await.status, 200);
    assert!(page(&service, "/ui/schedules").await.has("a[href=/ui/schedules/nightly]"));
    assert!(page(&service, "/ui/jobs/Sample").await.has("a[href=/ui/schedules/nightly]"));
    let html = page(&service, "/ui/schedules/nightly").await;
    let next = html.all("section[aria-labelledby=next] li");
    assert_eq!(next.len(), 5);
    assert!(
        next.iter().all(|fire| fire.text.contains("02:30:00 +0") && fire.text.contains("UTC")),
        "{}",
        html.text("main")
    );
    let paused = send(&service, "/ui/schedules/nightly/pause", &[("reason", "<b>holiday</b>"), ("until", "")]).await;
    let html = led(&service, &paused).await;
    assert!(
        html.text("section[aria-labelledby=pauses]").contains("<b>holiday</b>") && html.text("h1").contains("paused")
    );
    let resumed = send(&service, "/ui/schedules/nightly/resume", &[]).await;
    assert!(!led(&service, &resumed).await.has("section[aria-labelledby=pauses]"));
    let run = send(&service, "/ui/schedules/nightly/run", &[]).await;
    let html = led(&service, &run).await;
    assert!(html.text("section[aria-labelledby=fires]").contains("LAUNCHED"), "{}", html.text("main"));
    let (status, html) =
        checked("pause", send(&service, "/ui/schedules/nightly/pause", &[("reason", "x"), ("until", "soon")]).await);
    assert_eq!(status, 422);
    assert!(html.text("main").contains("must be a time"));
    let (status, _) = checked("resume", send(&service, "/ui/schedules/nightly/resume", &[]).await);
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_backfill_is_counted_before_it_is_begun() {
    let service = Service::idle().await;
    assert_eq!(service.post_json("/schedules", NIGHTLY).await.status, 200);
    let form = page(&service, "/ui/backfills?job=Sample").await;
    assert!(form.has("option[value=nightly][selected]"));
    let query = "schedule=nightly&from=2026-01-01&to=2026-01-03&which=missing&max_running=2";
    let plan = page(&service, &format!("/ui/backfills/plan?{query}")).await;
    assert!(plan.text("p.lead").contains("3 of 3 fires"), "{}", plan.text("main"));
    let fields = ["schedule", "from", "to", "which", "max_running"].map(|name| (name, plan.field(name)));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let begun = send(&service, "/ui/backfills", &fields).await;
    let html = led(&service, &begun).await;
    assert!(html.text("tbody").contains("nightly") && html.text("tbody").contains("RUNNING"), "{}", html.text("main"));
    let cancelled = send(&service, "/ui/backfills/1/cancel", &[]).await;
    assert!(led(&service, &cancelled).await.text("tbody").contains("CANCELLED"));
    let (status, _) = super::page_with(&service, "/ui/backfills/plan?schedule=nightly&from=x&to=y", "").await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn bulk_work_is_counted_with_what_is_left_out_and_then_done() {
    let service = service().await;
    service.run("Failing", r#"{"n": 1}"#).await;
    service.run("Failing", r#"{"n": 2}"#).await;
    service.run("Failing", r#"{"n": 2}"#).await;
    service.run("Sample", "{}").await;
    let plan = page(&service, "/ui/bulk/plan?action=RESTART&status=FAILED&job=Failing&text=").await;
    assert!(plan.text("p.lead").contains("2 of 3 executions found"), "{}", plan.text("main"));
    assert!(
        plan.text("main").contains("Left out")
            && plan.text("main").contains("oxbatch restart --where status=FAILED,job=Failing --yes")
    );
    let fields = [("action", "RESTART"), ("status", "FAILED"), ("job", "Failing")];
    for (name, value) in fields {
        assert_eq!(plan.field(name), value);
    }
    let begun = send(&service, "/ui/bulk", &fields).await;
    let path = begun.header("location").unwrap().to_owned();
    until(async || page(&service, &path).await.text(".facts").contains("ENDED")).await;
    let html = page(&service, &path).await;
    assert!(html.text(".facts").contains("2 done") && html.has("a[href=/ui/executions/5]"), "{}", html.text("main"));
    assert!(page(&service, "/ui/bulk").await.has("a[href=/ui/bulk/1]"));
    let (status, html) = super::page_with(&service, "/ui/bulk/plan?action=RESTART", "").await;
    assert!((400..500).contains(&status), "{}", html.text("main"));
}

#[tokio::test]
async fn a_node_is_drained_and_takes_work_again() {
    let service = Service::start().await;
    let html = page(&service, "/ui/nodes").await;
    let action = html.one(".node-card form").attribute("action").unwrap().to_owned();
    assert!(html.text(".node-card").contains("test-node") && html.has(".node-card .dot.done"));
    let drained = send(&service, &action, &[]).await;
    let html = led(&service, &drained).await;
    assert!(html.text(".node-card").contains("takes no new work") && html.has(".node-card .dot.stop"));
    let undrained = send(&service, &action.replace("/drain", "/undrain"), &[]).await;
    assert!(led(&service, &undrained).await.has(".node-card .dot.done"));
}

#[tokio::test]
async fn the_log_is_chosen_by_level_and_step() {
    let service = service().await;
    service.run("Sample", "{}").await;
    let html = page(&service, "/ui/executions/1/log?level=&step=").await;
    assert!(html.has("select[name=level]") && html.has("p.empty"));
    assert_eq!(html.text("select[name=step]"), "anyStep1Step2");
    assert_eq!(super::page_with(&service, "/ui/executions/1/log?level=LOUD", "").await.0, 400);
    assert!(page(&service, "/ui/notices").await.text("p.empty").contains("no notice"));
}
