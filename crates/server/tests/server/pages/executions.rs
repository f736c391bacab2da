//! The list of executions.

use axum::body::Body;

use crate::harness::{request, until};

use super::{HOSTILE, checked, encoded, page, service};

#[tokio::test]
async fn filters_stand_in_the_address() {
    let service = service().await;
    service.run("Sample", r#"{"day": "one"}"#).await;
    service.run("Sample", r#"{"day": "two"}"#).await;
    service.run("Failing", "{}").await;
    let ids = async |query: &str| {
        let html = page(&service, &format!("/ui/executions?{query}")).await;
        html.all("td[data-label=Execution] a").iter().map(|link| link.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, ["#3", "#2", "#1"]);
    assert_eq!(ids("status=FAILED").await, ["#3"]);
    assert_eq!(ids("status=FAILED&status=COMPLETED&job=Sample&text=&from=&to=").await, ["#2", "#1"]);
    assert_eq!(ids("parameter=day%3Dtwo").await, ["#2"]);
    assert_eq!(ids("text=no+paper").await, ["#3"]);
    assert_eq!(ids("to=2024-01-01").await, [""; 0]);
    let html = page(&service, "/ui/executions?status=FAILED&text=paper").await;
    assert!(html.has("input[value=FAILED][checked]") && html.has("input[name=text][value=paper]"));
    let restart =
        html.one("section[aria-labelledby=all] a[href=/ui/bulk/plan?action=RESTART&status=FAILED&text=paper]");
    assert_eq!(restart.text, "Restart all…");
}

#[tokio::test]
async fn a_page_leads_to_the_older_ones_by_key() {
    let service = service().await;
    for run in 0..5 {
        service.run("Sample", &format!("{{\"run_of\": {run}}}")).await;
    }
    let first = page(&service, "/ui/executions?limit=2&job=Sample").await;
    assert_eq!(first.all("td[data-label=Execution]").len(), 2);
    let older = first.one("a[rel=next]").attribute("href").unwrap().to_owned();
    assert!(older.starts_with("/ui/executions?limit=2&job=Sample&cursor=e"), "{older}");
    let second = page(&service, &older).await;
    assert_eq!(second.text("td[data-label=Execution] a"), "#3\n#2");
    assert!(!second.has("body[data-live]"), "an older page does not change");
}

#[tokio::test]
async fn an_empty_list_says_what_to_do_and_a_bad_filter_what_is_wrong() {
    let service = service().await;
    assert!(page(&service, "/ui/executions").await.has("p.empty a[href=/ui/jobs]"));
    let none = page(&service, "/ui/executions?status=FAILED").await;
    assert!(none.text("p.empty").contains("No execution fits"));
    let ask = |query: &str| {
        request("GET", &format!("/ui/executions?{query}")).header("accept", "text/html").body(Body::empty())
    };
    for (query, said) in
        [("status=LOST", "must be one of"), ("from=yesterday", "must be a date"), ("job=Nope", "Job not found")]
    {
        let (status, html) = checked(query, service.send(ask(query).unwrap()).await);
        assert_eq!(status, 400);
        assert!(html.text("p.notice").contains(said), "{}", html.text("main"));
    }
    let query =
        format!("text={}&job=Sample&parameter=a%3D{}", encoded(HOSTILE.trim_end_matches("\u{1b}[2K")), encoded("<b>"));
    let (_, html) = checked(&query, service.send(ask(&query).unwrap()).await);
    assert_eq!(html.one("input[name=parameter]").attribute("value"), Some("a=<b>"));
}

#[tokio::test]
async fn rows_are_chosen_one_by_one_and_the_plan_counts_them() {
    let service = service().await;
    for n in 1..=3 {
        service.run("Failing", &format!("{{\"n\": {n}}}")).await;
    }
    service.run("Sample", "{}").await;
    let list = page(&service, "/ui/executions?status=FAILED").await;
    assert_eq!(list.all("td.choose input[form=choose]").len(), 3);
    assert_eq!(list.one("form#choose").attribute("action"), Some("/ui/bulk/plan"));
    assert_eq!(list.field("back"), "status=FAILED");
    let plan =
        page(&service, "/ui/bulk/plan?chosen=true&back=status%3DFAILED&id=1&id=3&id=4&id=4711&action=RESTART").await;
    let said = plan.text("main");
    assert!(said.contains("Restart the chosen") && plan.text("p.lead").contains("2 of 4 chosen executions"), "{said}");
    assert!(said.contains("1 it is COMPLETED") && said.contains("1 not found"), "{said}");
    assert!(
        said.contains("oxbatch restart --where id=1,id=3,id=4,id=4711 --yes") && said.contains("\"ids\":[1,3,4,4711]")
    );
    assert!(plan.has("a[href=/ui/executions?status=FAILED]"), "{said}");
    let ids: Vec<_> = plan.all("form[action=/ui/bulk] input[name=id]");
    assert_eq!(ids.len(), 4);
    let fields = [("action", "RESTART"), ("id", "1"), ("id", "3"), ("id", "4")];
    let begun = super::send(&service, "/ui/bulk", &fields).await;
    let path = begun.header("location").unwrap().to_owned();
    until(async || page(&service, &path).await.text(".facts").contains("ENDED")).await;
    assert!(page(&service, &path).await.text(".facts").contains("2 done"));
    let (status, html) = super::page_with(&service, "/ui/bulk/plan?chosen=true&action=STOP", "").await;
    assert_eq!(status, 422);
    assert!(html.text("main").contains("no execution was chosen"), "{}", html.text("main"));
    let many: String = (1..=501).map(|id| format!("&id={id}")).collect();
    let (status, html) = super::page_with(&service, &format!("/ui/bulk/plan?chosen=true&action=STOP{many}"), "").await;
    assert!((400..500).contains(&status) && html.text("main").contains("at most 500"), "{}", html.text("main"));
    assert!(service.get(&format!("/executions?id=1{many}")).await.problem(400).contains("500"));
    let named = service.get("/executions?id=3&id=1&id=4711").await.json();
    assert_eq!(named.as_array().unwrap().iter().map(|it| it["id"].as_i64().unwrap()).collect::<Vec<_>>(), [3, 1]);
    service.get("/executions?id=x").await.problem(400);
}
