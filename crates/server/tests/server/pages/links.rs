//! No link is dead, and every form has somewhere to go without a script.

use std::collections::{BTreeSet, VecDeque};

use axum::body::Body;
use oxbatch_server::pages;

use crate::harness::{Service, request, until};

use super::{checked, page, service};

const NIGHTLY: &str = r#"{"job": "Sample", "name": "nightly & co", "cron": "30 2 * * *", "zone": "Europe/Berlin",
    "parameters": {"day": {"expression": "fire date - 1 day"}}}"#;

/// A service in which a bit of everything has happened.
async fn full() -> Service {
    let service = service().await;
    for job in ["Sample", "Trades", "Skipping", "Chunky"] {
        service.run(job, "{}").await;
    }
    assert_eq!(service.post_json("/schedules", NIGHTLY).await.status, 200);
    service.post("/schedules/nightly%20%26%20co/run").await;
    let bulk = r#"{"action": "RESTART", "filter": {"status": ["FAILED"]}}"#;
    assert_eq!(service.post_json("/bulk", bulk).await.status, 202);
    until(async || service.get("/bulk/1").await.json()["status"] == "ENDED").await;
    let endless = service.post("/jobs/Endless/launch").await.json()["execution_id"].as_i64().unwrap();
    service.until_in_step(endless, "Wait").await;
    service
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(known, part)| *known == part || known.starts_with('{'))
}

#[tokio::test]
async fn every_link_and_every_form_leads_somewhere() {
    let service = full().await;
    let (mut seen, mut queue) = (BTreeSet::new(), VecDeque::from(["/".to_owned()]));
    let (mut shown, mut forms) = (BTreeSet::new(), BTreeSet::new());
    while let Some(path) = queue.pop_front() {
        let bare = path.split('#').next().unwrap().to_owned();
        if !seen.insert(bare.clone()) || seen.len() > 150 {
            continue;
        }
        let asked = request("GET", &bare).header("accept", "text/html").body(Body::empty()).unwrap();
        let answer = service.send(asked).await;
        assert!(answer.status.is_success() || answer.status.is_redirection(), "{path}: {}", answer.status);
        if !answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) || bare.starts_with("/docs")
        {
            continue;
        }
        let (_, html) = checked(&bare, answer);
        shown.extend(
            pages().into_iter().map(|(_, known, _)| known).filter(|known| fits(known, bare.split('?').next().unwrap())),
        );
        for link in html.all("a").iter().chain(&html.all("link")).chain(&html.all("script")) {
            let target = link.attribute("href").or(link.attribute("src"));
            queue.extend(target.filter(|target| target.starts_with('/')).map(str::to_owned));
        }
        for form in html.all("form") {
            let action = form.attribute("action").unwrap_or(&bare).split(['?', '#']).next().unwrap().to_owned();
            let method = form.attribute("method").unwrap().to_uppercase();
            let route = pages().into_iter().find(|(known, path, _)| known.as_str() == method && fits(path, &action));
            let (_, template, _) = route.unwrap_or_else(|| panic!("{bare}: {method} {action} is no route"));
            forms.insert(format!("{method} {template}"));
        }
        for button in html.all("button[formaction]") {
            let action = button.attribute("formaction").unwrap().split('#').next().unwrap();
            assert!(pages().iter().any(|(method, path, _)| method == "POST" && fits(path, action)), "{action}");
        }
    }
    let all: BTreeSet<_> =
        pages().into_iter().filter(|(method, _, _)| method == "GET").map(|(_, path, _)| path).collect();
    let missing: Vec<_> = all
        .difference(&shown)
        .filter(|path| !["/login", "/static/{file}", "/ui/backfills/plan", "/styleguide"].contains(path))
        .collect();
    assert!(missing.is_empty(), "no link leads to {missing:?}; the forms are {forms:?}");
    for form in
        ["POST /ui/executions/{id}/restart", "POST /ui/executions/{id}/skips/rerun", "POST /ui/jobs/{name}/launch"]
    {
        assert!(forms.contains(form), "{forms:?}");
    }
    service.post("/executions/7/stop").await;
}

#[tokio::test]
async fn what_failed_and_why_and_its_record_and_what_restarting_does_are_two_clicks_from_the_first_page() {
    let service = service().await;
    service.run("Trades", "{}").await;
    // First: the execution, from the list of what failed. The record, the reason and the plan stand there.
    let first = page(&service, "/").await;
    let link = first.one("section[aria-labelledby=failed] a.main-link").attribute("href").unwrap().to_owned();
    let execution = page(&service, &link).await;
    assert!(execution.text("dl.record").contains("data/trades.csv") && execution.text("pre.raw").contains("17,"));
    assert!(execution.text("section[aria-labelledby=restart]").contains("Resumes step Import"));
    assert!(execution.has("section[aria-labelledby=restart] button.primary"));
}

#[tokio::test]
async fn a_file_of_the_pages_is_kept_by_browsers_as_long_as_it_is_the_same() {
    let service = Service::idle().await;
    let style = page(&service, "/").await.one("link[rel=stylesheet]").attribute("href").unwrap().to_owned();
    let answer = service.get(&style).await;
    assert!(answer.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(answer.header("content-type"), Some("text/css; charset=utf-8"));
    let other = service.get("/static/pages.css?v=old").await;
    assert_eq!((other.status.as_u16(), other.header("cache-control")), (200, Some("no-cache")));
    service.get("/static/..%2FCargo.toml").await.problem(404);
}
