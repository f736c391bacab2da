//! Schedules, backfills, nodes, bulk work, notices.

use std::sync::Arc;

use oxbatch_core::notice::NoticeSender;

use crate::harness::{Service, Settings, until};
use crate::notices::Channels;

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
async fn launches_are_paused_and_resumed_for_a_job_and_for_all() {
    let service = service().await;
    let html = page(&service, "/ui/jobs/Sample").await;
    assert!(html.text("section[aria-labelledby=pause]").contains("oxbatch pause Sample --reason REASON"));
    let paused = send(&service, "/ui/jobs/Sample/launches/pause", &[("reason", "<i>release</i>")]).await;
    let html = led(&service, &paused).await;
    let said = html.text("section[aria-labelledby=pause]");
    assert!(said.contains("Its launches are paused since") && said.contains("<i>release</i>"), "{said}");
    assert!(said.contains("oxbatch resume Sample") && said.contains("/jobs/Sample/launches/resume"), "{said}");
    let paused = send(&service, "/ui/launches/pause", &[("reason", "all of it")]).await;
    let html = led(&service, &paused).await;
    assert!(html.text("section[aria-labelledby=launches]").contains("All launches are paused since"));
    assert_eq!(html.all("span.held").len(), 1, "the job has a pause of its own");
    assert_eq!(service.post("/jobs/Sample/launch").await.status, 202);
    let first = page(&service, "/").await;
    let waiting = first.text("section[aria-labelledby=waiting]");
    assert!(waiting.contains("all of it") && waiting.contains("<i>release</i>"), "{waiting}");
    let resumed = send(&service, "/ui/launches/resume", &[]).await;
    assert!(led(&service, &resumed).await.has("form[action=/ui/launches/pause]"));
    let resumed = send(&service, "/ui/jobs/Sample/launches/resume", &[]).await;
    assert!(led(&service, &resumed).await.has("form[action=/ui/jobs/Sample/launches/pause]"));
    until(async || service.get("/executions/1").await.json()["status"] == "COMPLETED").await;
    for (path, status) in [("/ui/launches/resume", 409), ("/ui/jobs/Nope/launches/resume", 404)] {
        assert_eq!(checked(path, send(&service, path, &[]).await).0, status, "{path}");
    }
    let (status, html) = checked("pause", send(&service, "/ui/launches/pause", &[("reason", " ")]).await);
    assert_eq!(status, 409);
    assert!(html.text("main").contains("has a reason"));
}

#[tokio::test]
async fn a_channel_of_notices_is_tried_from_its_page() {
    let notices: Option<Arc<dyn NoticeSender>> = Some(Arc::new(Channels));
    let service = Service::with(Settings { notices, ..Settings::default() }).await;
    let html = page(&service, "/ui/notices").await;
    let said = html.text("section[aria-labelledby=channels]");
    assert!(said.contains("oxbatch notices test mail") && said.contains("/notices/test/broken"), "{said}");
    let (status, html) = checked("mail", send(&service, "/ui/notices/test/mail", &[]).await);
    assert_eq!(status, 200);
    assert_eq!(html.text("p.notice"), "Channel mail has taken a trial.");
    let (_, html) = checked("broken", send(&service, "/ui/notices/test/broken", &[]).await);
    assert!(html.text("p.notice.bad").contains("an answer of 500"));
    assert_eq!(checked("chat", send(&service, "/ui/notices/test/chat", &[]).await).0, 404);
    assert!(page(&Service::idle().await, "/ui/notices").await.text("main").contains("[notices.NAME]"));
}

#[tokio::test]
#[cfg(debug_assertions)]
async fn the_style_guide_shows_every_part_in_both_schemes() {
    let service = service().await;
    let html = page(&service, "/styleguide").await;
    for part in [".badge.fail", ".chooser", "svg.flow", "table.totals", "pre.log", "progress", ".empty"] {
        assert!(
            part == ".chooser" || (html.has(&format!(".light {part}")) && html.has(&format!(".dark {part}"))),
            "{part}"
        );
    }
    let style = service.get("/static/styleguide.css").await;
    assert!(
        style.text.contains(".dark {") && style.text.contains("--back: #10141a") && style.text.contains(".c-accent")
    );
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
