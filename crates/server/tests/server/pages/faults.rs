//! Pages of things that are gone or broken.

use std::time::Instant;

use axum::body::Body;
use oxbatch_core::{Job, TaskStep};
use serde_json::json;

use crate::harness::{Service, Settings, request};

use super::{checked, page, page_with, service};

#[tokio::test]
async fn what_is_not_there_is_said() {
    let service = Service::idle().await;
    let gone = [
        ("/ui/executions/4711", "Execution not found"),
        ("/ui/jobs/Nope", "Job not found"),
        ("/ui/schedules/nope", "Schedule not found"),
        ("/ui/bulk/7", "Bulk"),
        ("/ui/nothing", "nothing at this path"),
    ];
    for (path, said) in gone {
        let (status, html) = page_with(&service, path, "").await;
        assert_eq!(status, 404, "{path}");
        assert!(html.text("main").contains(said), "{path}: {}", html.text("main"));
        assert!(html.has("main a[href=/]"), "{path}");
    }
    assert_eq!(page_with(&service, "/ui/executions/x", "").await.0, 400);
    assert_eq!(page_with(&service, "/ui/executions/1/stop", "").await.0, 405);
}

#[tokio::test]
async fn the_execution_of_a_job_that_is_gone_is_shown_and_says_so() {
    let service = service().await;
    service.run("Failing", "{}").await;
    service.damage(
        "UPDATE oxbatch_job_instance SET job_name = 'Gone'; UPDATE oxbatch_job_execution SET job_name = 'Gone'",
    );
    let html = page(&service, "/ui/executions/1").await;
    assert!(html.text("main").contains("It cannot be restarted here: "), "{}", html.text("main"));
    assert!(html.text("section[aria-labelledby=why]").contains("no paper"));
    assert!(!html.has("svg.flow") && !html.has("a[href=/ui/jobs/Gone?from=1#launch]"));
}

#[tokio::test]
async fn a_database_that_fails_is_a_page_and_comes_back() {
    let service = service().await;
    service.run("Failing", "{}").await;
    service.damage("ALTER TABLE oxbatch_job_execution RENAME TO elsewhere");
    for path in ["/", "/ui/executions", "/ui/executions/1", "/ui/jobs/Sample"] {
        let (status, html) = page_with(&service, path, "").await;
        assert!(status == 500 || status == 503, "{path}: {status}");
        let said = html.text("main");
        assert!(
            said.contains("log of the service") && !said.contains("elsewhere") && !said.contains("oxbatch_job"),
            "{said}"
        );
    }
    service.damage("ALTER TABLE elsewhere RENAME TO oxbatch_job_execution");
    page(&service, "/ui/executions/1").await;
}

#[tokio::test]
async fn a_service_with_too_much_to_do_says_when_to_come_back() {
    let mut settings = crate::harness::Settings { idle: true, ..Default::default() };
    settings.server.limits.max_requests = 0;
    let service = Service::with(settings).await;
    let asked = request("GET", "/ui/jobs").header("accept", "text/html").body(Body::empty()).unwrap();
    let answer = service.send(asked).await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    let (status, html) = checked("/ui/jobs", answer);
    assert_eq!(status, 503);
    assert!(html.text("main").contains("Try again"));
}

#[tokio::test]
async fn many_steps_and_long_messages_stay_within_a_page() {
    let service = service().await;
    service.run("Failing", "{}").await;
    let names = columns(&service, "oxbatch_step_execution");
    service.damage(&copies("oxbatch_step_execution", &names, "iteration", 10_000));
    service.damage("UPDATE oxbatch_job_execution SET exit_message = 'step: ' || hex(randomblob(32000))");
    let html = page(&service, "/ui/executions/1").await;
    assert!(html.text("section[aria-labelledby=steps]").contains("earlier ones are left out here"));
    assert_eq!(html.all("article.step").len(), 50);
    page(&service, "/").await;
    page(&service, "/ui/executions").await;
}

fn connection(service: &Service) -> oxbatch_storage::rusqlite::Connection {
    oxbatch_storage::rusqlite::Connection::open(service.folder.path().join("oxbatch.db")).unwrap()
}

fn columns(service: &Service, table: &str) -> Vec<String> {
    let connection = connection(service);
    let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1) WHERE name <> 'id'").unwrap();
    let names = names.query_map([table], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

/// The statement that copies the last row of a table so often, each with a number of its own in one column.
fn copies(table: &str, names: &[String], numbered: &str, count: u32) -> String {
    let value = |name: &String| if name == numbered { "n.i + 1".to_owned() } else { format!("s.{name}") };
    let values: Vec<String> = names.iter().map(value).collect();
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO {table} ({}) SELECT {} FROM n, (SELECT * FROM {table} ORDER BY id DESC LIMIT 1) s",
        names.join(", "),
        values.join(", ")
    )
}

#[tokio::test]
async fn five_hundred_jobs_fit_the_pages() {
    let job = |n: u32| {
        let name = format!("Nightly job number {n:03} of the settlement");
        Job::builder(name).description("Settles the trades of a day").step(TaskStep::builder("One", |_| Ok(()))).build()
    };
    let jobs = (0..500).map(|n| job(n).unwrap()).collect();
    let service = Service::with(Settings { jobs, ..Settings::default() }).await;
    page(&service, "/").await;
    for n in 0..45 {
        service.run(&format!("Nightly%20job%20number%20{n:03}%20of%20the%20settlement"), "{}").await;
    }
    for path in ["/", "/ui/jobs", "/ui/executions", "/ui/backfills"] {
        page(&service, path).await;
    }
    let jobs = page(&service, "/ui/jobs").await;
    assert!(jobs.all("td[data-label=Job]").len() <= 501);
    let last = page(&service, "/ui/jobs?text=number+499").await;
    assert_eq!(last.all("td[data-label=Job]").len(), 1, "{}", last.text("main"));
}

#[tokio::test]
async fn an_instance_with_a_hundred_thousand_executions_is_shown() {
    let service = service().await;
    service.run("Failing", "{}").await;
    let connection = connection(&service);
    let names = columns(&service, "oxbatch_job_execution");
    connection.execute_batch(&copies("oxbatch_job_execution", &names, "change", 100_000)).unwrap();
    let newest: i64 = connection.query_row("SELECT max(id) FROM oxbatch_job_execution", [], |row| row.get(0)).unwrap();
    assert!(newest > 100_000);
    let begin = Instant::now();
    for path in ["/ui/executions/1", "/ui/executions?instance=1", "/", "/ui/bulk/plan?action=RESTART&instance=1"] {
        page(&service, path).await;
    }
    let html = page(&service, &format!("/ui/executions/{newest}")).await;
    assert_eq!(html.all("section[aria-labelledby=attempts] li").len(), 20);
    println!("five pages of an instance with 100,000 executions: {:?}", begin.elapsed());
    // The page counts as far as its time reaches, a program to the bound.
    let plan = page(&service, "/ui/bulk/plan?action=RESTART&instance=1").await;
    let lead = plan.text("p.lead");
    assert!(lead.contains("executions found, and of more that were not counted, would be restarted"), "{lead}");
    let dry = json!({"action": "RESTART", "filter": {"instance": 1}, "dry_run": true}).to_string();
    let counted = service.post_json("/bulk", &dry).await.json();
    let of = |name: &str| counted[name].clone();
    assert_eq!((of("found"), of("acted_on"), of("has_more")), (json!(10_000), json!(1), json!(true)));
    connection.execute("DELETE FROM oxbatch_job_execution WHERE id > 2500", []).unwrap();
    let counted = service.post_json("/bulk", &dry).await.json();
    let of = |name: &str| counted[name].clone();
    assert_eq!((of("found"), of("acted_on"), of("has_more")), (json!(2_500), json!(1), json!(false)));
}
