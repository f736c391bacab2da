//! The buttons of an execution.

use crate::harness::{LONG, Service};

use super::{checked, led, page, send, service};

#[tokio::test]
async fn a_restart_does_what_its_plan_said() {
    let service = service().await;
    service.run("Trades", "{}").await;
    let tag = page(&service, "/ui/executions/1").await.field("plan");
    let restarted = send(&service, "/ui/executions/1/restart", &[("plan", &tag)]).await;
    assert_eq!(restarted.header("location"), Some("/ui/executions/2"));
    service.engine.wait(oxbatch_core::execution::ExecutionId(2), LONG).await.unwrap();
    let html = led(&service, &restarted).await;
    assert!(html.text("section[aria-labelledby=attempts]").contains("#1"));
    assert!(!html.text("section[aria-labelledby=steps]").contains("Fetch"), "it is not run again");
}

#[tokio::test]
async fn a_stale_plan_is_answered_by_the_new_one() {
    let service = service().await;
    service.run("Trades", "{}").await;
    let tag = page(&service, "/ui/executions/1").await.field("plan");
    // Somebody else was faster, and failed at the same record.
    service.post("/executions/1/restart").await;
    service.engine.wait(oxbatch_core::execution::ExecutionId(2), LONG).await.unwrap();
    let (status, html) = checked("restart", send(&service, "/ui/executions/1/restart", &[("plan", &tag)]).await);
    assert_eq!(status, 409);
    assert_eq!(html.one("h1").text, "The plan has changed");
    assert_eq!(service.get("/executions").await.json().as_array().unwrap().len(), 2, "nothing was launched");
    let (status, html) = checked("restart", send(&service, "/ui/executions/1/restart", &[]).await);
    assert_eq!(status, 400);
    assert!(html.text("main").contains("needs the tag of the plan"));
}

#[tokio::test]
async fn stop_and_abandon_lead_back_to_the_execution() {
    let service = Service::start().await;
    let id = service.post("/jobs/Endless/launch").await.json()["execution_id"].as_i64().unwrap();
    service.until_in_step(id, "Wait").await;
    let stopped = send(&service, "/ui/executions/1/stop", &[]).await;
    assert_eq!(stopped.header("location"), Some("/ui/executions/1"));
    service.engine.wait(oxbatch_core::execution::ExecutionId(1), LONG).await.unwrap();
    assert!(led(&service, &stopped).await.has("h1 .badge.stop"));
    let (status, html) = checked("stop", send(&service, "/ui/executions/1/stop", &[]).await);
    assert_eq!(status, 409);
    assert!(html.has("a[href=/ui/executions/1]"), "{}", html.text("main"));
    let abandoned = send(&service, "/ui/executions/1/abandon", &[]).await;
    assert!(led(&service, &abandoned).await.has("h1 .badge.gone"));
}

#[tokio::test]
async fn skipped_items_are_run_again_once() {
    let service = Service::start().await;
    service.run("Skipping", "{}").await;
    let rerun = send(&service, "/ui/executions/1/skips/rerun", &[]).await;
    assert_eq!(rerun.header("location"), Some("/ui/executions/2"));
    service.engine.wait(oxbatch_core::execution::ExecutionId(2), LONG).await.unwrap();
    let html = led(&service, &rerun).await;
    assert!(html.text(".facts").contains("runs skipped items of #1 again"), "{}", html.text(".facts"));
    let first = page(&service, "/ui/executions/1").await;
    assert!(first.has("a[href=/ui/executions/2]") && !first.has("form[action=/ui/executions/1/skips/rerun]"));
    let (status, _) = checked("rerun", send(&service, "/ui/executions/1/skips/rerun", &[]).await);
    assert_eq!(status, 409, "each exactly once");
}

#[tokio::test]
async fn what_a_form_does_is_in_the_audit_log_by_the_same_name() {
    let service = Service::idle().await;
    send(&service, "/ui/jobs/Sample/launch", &[]).await;
    send(&service, "/ui/executions/1/stop", &[]).await;
    let log = page(&service, "/ui/audit").await;
    let text = log.text("tbody");
    for part in ["launch_job", "303 /ui/executions/1", "stop_execution", "/ui/executions/1/stop", "anybody"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
