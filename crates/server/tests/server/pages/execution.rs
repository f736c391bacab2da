//! The page of an execution.

use oxbatch_core::access::{Grant, Role};

use crate::access::known;
use crate::harness::Service;

use super::{HOSTILE, HOSTILE_NAME, encoded, page, page_with, service};

#[tokio::test]
async fn the_failed_record_and_its_causes_stand_first() {
    let service = service().await;
    service.run("Trades", "{}").await;
    let html = page(&service, "/ui/executions/1").await;
    assert!(html.one("h1").text.contains("Trades #1") && html.has("h1 .badge.fail"));
    let why = html.text("section[aria-labelledby=why]");
    for part in ["data/trades.csv", "Line17", "Columncost", "17,<b>\"secret\"</b>,x"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(html.one("section[aria-labelledby=why] .rule").text, "bad");
    assert!(html.text("ol.causes").contains("step 'Import' failed"), "{why}");
    let plan = html.text("section[aria-labelledby=restart]");
    assert!(
        plan.contains("Resumes step Import at item 16, behind 15 items; Fetch is complete and not run again"),
        "{plan}"
    );
    assert!(plan.contains("oxbatch restart 1 --plan ") && plan.contains("If-Match"), "{plan}");
    assert!(html.has("form[action=/ui/executions/1/restart] button.primary"));
    assert!(html.has("svg.flow g.node.fail") && html.has("svg.flow g.node.done"));
    assert!(html.text("section[aria-labelledby=attempts]").contains("#1 (this one)"));
}

#[tokio::test]
async fn every_counter_total_and_share_of_a_step_is_shown() {
    let service = Service::start().await;
    service.run("Skipping", "{}").await;
    let html = page(&service, "/ui/executions/1").await;
    let counts = html.text("dl.counts");
    assert!(counts.contains("2,000") && counts.contains("1,000"), "{counts}");
    let totals = html.text("table.totals");
    assert!(totals.contains("sum") && totals.contains("2001000") && totals.contains("✓ matches"), "{totals}");
    assert!(html.text("article.step").contains("Skipped: 0 in reading, 1,000 in processing, 0 in writing."));
    assert!(html.text(".phases").contains("Bottleneck:") && html.text(".phases").contains("of the time"));
    let skips = html.text("section[aria-labelledby=skips]");
    assert!(skips.contains("odd") && skips.contains("number 1") && skips.contains("500"), "{skips}");
    assert!(html.has("form[action=/ui/executions/1/skips/rerun]"));
    let groups = page(&service, "/ui/executions/1/skips").await;
    assert!(groups.text("main").contains("The first 500 of each step"), "{}", groups.text("main"));
    assert_eq!(groups.all("section.panel h2").len(), 1, "one fault is one group: {}", groups.text("main"));
}

#[tokio::test]
async fn a_total_that_does_not_match_is_marked() {
    let service = Service::start().await;
    service.run("Skipping", "{}").await;
    service.damage("UPDATE oxbatch_step_execution SET filter_count = filter_count + 1");
    let html = page(&service, "/ui/executions/1").await;
    assert!(html.text("tr.bad").contains("✕ does not match"), "{}", html.text("table.totals"));
}

#[tokio::test]
async fn a_running_execution_shows_its_progress_and_can_be_stopped() {
    let service = Service::start().await;
    let id = service.post("/jobs/Endless/launch").await.json()["execution_id"].as_i64().unwrap();
    service.until_in_step(id, "Wait").await;
    let html = page(&service, "/ui/executions/1").await;
    assert_eq!(html.one(".head progress").attribute("value"), Some("50"));
    assert_eq!(html.one("body").attribute("data-live"), Some("1"));
    assert!(html.has("form[action=/ui/executions/1/stop]") && !html.has("form[action=/ui/executions/1/abandon]"));
    assert!(html.text("section.actions").contains("oxbatch stop 1"));
    assert!(html.text("section.actions").contains("curl -X POST http://localhost:8000/executions/1/stop"));
}

#[tokio::test]
async fn a_viewer_sees_where_and_why_but_no_record() {
    let service = service().await;
    service.run("Trades", "{}").await;
    service.run("Skipping", "{}").await;
    let viewer = known(&service, Grant { role: Role::Viewer, data: false }, None).await;
    let cookie = format!("oxbatch_session={}", viewer.session);
    let (status, html) = page_with(&service, "/ui/executions/1", &cookie).await;
    assert_eq!(status, 200);
    let all = html.text("body");
    assert!(all.contains("data/trades.csv") && all.contains("bad") && !all.contains("secret"), "{all}");
    assert!(!html.has("main form") && !html.has("pre.log"), "a viewer changes nothing");
    assert!(all.contains("Resumes step Import"), "the plan is shown to viewers");
    let (_, skips) = page_with(&service, "/ui/executions/2", &cookie).await;
    assert!(skips.text("section[aria-labelledby=skips]").contains("shown to operators"));
    assert!(!skips.text("body").contains("number 1"));
    let with_data = known(&service, Grant { role: Role::Viewer, data: true }, None).await;
    let (_, html) = page_with(&service, "/ui/executions/1", &format!("oxbatch_session={}", with_data.session)).await;
    assert!(html.text("pre.raw").contains("secret") && !html.has("main form"));
}

#[tokio::test]
async fn hostile_names_values_and_messages_are_text() {
    let service = service().await;
    let path = format!("/jobs/{}/launch?wait=1m", encoded(HOSTILE_NAME));
    let parameters = serde_json::json!({"<i>": HOSTILE, "plain": "x"}).to_string();
    assert_eq!(service.post_json(&path, &parameters).await.status, 202);
    for path in ["/ui/executions/1", "/", "/ui/executions", "/ui/jobs", &format!("/ui/jobs/{}", encoded(HOSTILE_NAME))]
    {
        let html = page(&service, path).await;
        assert!(!html.has("main img") && !html.has("main script") && !html.has("main i img"), "{path}");
        let text = html.text("body");
        assert!(text.contains("onerror=alert(1)"), "{path}: the name is shown: {text}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{1b}'), "{path}");
    }
    let html = page(&service, "/ui/executions/1").await;
    assert!(
        html.text("dl.pairs").contains("<script>alert(1)</script>'&\\u{202e}x\\u{1b}[2K"),
        "{}",
        html.text("dl.pairs")
    );
    assert!(html.text("svg.flow title").contains("<img src=x"));
    // A form gives back what was given, whatever it looks like.
    let again = page(&service, &format!("/ui/jobs/{}?from=1", encoded(HOSTILE_NAME))).await;
    assert!(again.text("textarea").contains("alert(1)"), "{}", again.text("textarea"));
}

#[tokio::test]
async fn the_contexts_of_an_execution_are_shown_cut_and_whole_on_pages_of_their_own() {
    let service = service().await;
    service.run("Trades", "{}").await;
    let html = page(&service, "/ui/executions/1").await;
    let of_job = html.text("section[aria-labelledby=context]");
    assert!(of_job.contains("total30") && of_job.contains(HOSTILE_NAME) && of_job.contains('…'), "{of_job}");
    let of_step = html.text("details.context");
    assert!(of_step.contains("a.csv") && of_step.contains("cut") && of_step.len() < 2_000, "{of_step}");
    let whole = page(&service, "/ui/executions/1/context").await;
    assert!(whole.text("dl.entries").contains(&"x".repeat(500)), "{}", whole.text("main"));
    let path = html.one("details.context a").attribute("href").unwrap().to_owned();
    let whole = page(&service, &path).await;
    assert!(whole.text("h1").contains("of step Fetch") && whole.text("dl.entries").contains("It is cut here"));
    let download = whole.one("a[download]").attribute("href").unwrap().to_owned();
    let context = service.get(&download).await.json();
    assert_eq!(context["entries"]["long"], "<x>".repeat(10_000));
    assert_eq!(service.get("/executions/1/context").await.json()["entries"]["total"], 30);
    service.get("/executions/4711/context").await.problem(404);
    service.get("/executions/1/context?step=4711").await.problem(404);
    let viewer = known(&service, Grant { role: Role::Viewer, data: false }, None).await;
    let cookie = format!("oxbatch_session={}", viewer.session);
    let (_, html) = page_with(&service, "/ui/executions/1", &cookie).await;
    assert!(!html.has("section[aria-labelledby=context]") && !html.has("details.context"));
    assert_eq!(page_with(&service, "/ui/executions/1/context", &cookie).await.0, 403);
}
