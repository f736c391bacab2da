//! Pages and roles: each route with each role, the login and what it leads back to, the log-out.

use axum::body::Body;
use oxbatch_core::access::{Credential, CredentialKind, Grant, Right, Role};
use oxbatch_core::repository::rules::access::may;
use oxbatch_server::pages;

use crate::access::known;
use crate::harness::{Answer, Service, Settings, request};

use super::{checked, page_with, send_with};

/// Asks for a route as a browser with a cookie does.
async fn ask(service: &Service, method: &str, path: &str, cookie: &str) -> Answer {
    let path = path.replace("{name}", "Nope").replace("{id}", "4711").replace("{file}", "pages.css");
    let asked = request(method, &path).header("accept", "text/html").header("cookie", cookie);
    let asked = if method == "POST" { asked.header("origin", "http://localhost:8000") } else { asked };
    service.send(asked.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_page_is_open_to_the_roles_that_have_its_right_and_to_nobody_else() {
    let service = Service::idle().await;
    let grants = [(Role::Viewer, false), (Role::Viewer, true), (Role::Operator, false), (Role::Admin, false)];
    let wrong = Credential::new(CredentialKind::Session).unwrap();
    let routes = pages();
    assert!(routes.len() > 30);
    for (role, data) in grants {
        let grant = Grant { role, data };
        for (method, path, right) in &routes {
            // Anew for each: one of them ends the session.
            let token = known(&service, grant, None).await;
            let answer = ask(&service, method.as_str(), path, &format!("oxbatch_session={}", token.session)).await;
            let is_refused = answer.status == 403 || answer.status == 401;
            let is_open = right.is_none_or(|right| may(grant, right));
            assert_eq!(is_refused && *path != "/ui/login", !is_open, "{method} {path} {grant:?}: {}", answer.status);
            let Some(_) = right else { continue };
            let nobody = ask(&service, method.as_str(), path, &format!("oxbatch_session={}", wrong.text())).await;
            match method.as_str() {
                "GET" => assert!(nobody.header("location").unwrap().starts_with("/login"), "{method} {path}"),
                _ => assert_eq!(nobody.status, 401, "{method} {path}"),
            }
        }
    }
}

#[tokio::test]
async fn a_form_of_a_foreign_page_is_refused() {
    let service = Service::idle().await;
    let admin = known(&service, Grant::ALL, None).await;
    for (method, path, right) in pages() {
        if method != "POST" || right.is_none() {
            continue;
        }
        let path = path.replace("{name}", "Nope").replace("{id}", "4711");
        for origin in ["null", "https://evil.example", "http://localhost:9000"] {
            let sent = request("POST", &path).header("cookie", format!("oxbatch_session={}", admin.session));
            let answer = service.send(sent.header("origin", origin).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, 403, "{path} from {origin}");
        }
    }
}

#[tokio::test]
async fn the_rights_of_forms_and_pages_are_those_of_the_calls() {
    for (method, path, right) in pages() {
        let shows = method == "GET";
        let changes = matches!(right, Some(Right::Operate | Right::Administer));
        let only_shows = ["/ui/login", "/ui/logout", "/ui/jobs/{name}/preview"];
        assert!(shows || changes || only_shows.contains(&path), "{method} {path} may be sent by viewers");
    }
}

#[tokio::test]
async fn a_visitor_without_a_session_logs_in_and_is_led_back() {
    let service = Service::idle().await;
    let operator = known(&service, Grant { role: Role::Operator, data: false }, None).await;
    let asked = ask(&service, "GET", "/ui/executions?status=FAILED", "").await;
    let login = asked.header("location").unwrap().to_owned();
    assert_eq!((asked.status.as_u16(), login.as_str()), (303, "/login?next=%2Fui%2Fexecutions%3Fstatus%3DFAILED"));
    let (_, html) = page_with(&service, &login, "").await;
    assert_eq!(html.field("next"), "/ui/executions?status=FAILED");
    assert_eq!(html.one("form").attribute("action"), Some("/ui/login"));
    let wrong = send_with(&service, "/ui/login", &[("next", "/ui/jobs"), ("token", "oxb_no")], "").await;
    let (status, html) = checked("login", wrong);
    assert_eq!((status, html.field("next").as_str()), (401, "/ui/jobs"));
    assert!(html.text("p.notice").contains("no such token"));
    for (next, target) in [
        ("/ui/executions?status=FAILED", "/ui/executions?status=FAILED"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
    ] {
        let begun = send_with(&service, "/ui/login", &[("next", next), ("token", &operator.token)], "").await;
        assert_eq!((begun.status.as_u16(), begun.header("location")), (303, Some(target)));
        let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let (status, html) = page_with(&service, "/", &cookie).await;
        assert_eq!(status, 200);
        assert!(html.text(".who").contains("ci") && html.has(".who form[action=/ui/logout]"));
        let ended = send_with(&service, "/ui/logout", &[], &cookie).await;
        assert_eq!(ended.header("location"), Some("/login"));
        assert_eq!(ask(&service, "GET", "/ui/jobs", &cookie).await.status, 303);
    }
}

#[tokio::test]
async fn a_read_only_service_has_no_forms_that_change() {
    let mut settings = Settings::default();
    settings.server.read_only = true;
    let service = Service::with(settings).await;
    for path in ["/", "/ui/executions?status=FAILED", "/ui/jobs/Sample", "/ui/nodes", "/ui/backfills"] {
        let (status, html) = page_with(&service, path, "").await;
        assert_eq!(status, 200);
        let changes = html.all("form[method=post]");
        assert!(
            changes.iter().all(|form| form.attribute("action").unwrap().starts_with("/ui/jobs/")),
            "{path}: {changes:?}"
        );
        assert!(!html.has("form.launch button.primary"), "{path}");
        assert!(html.text(".who").contains("read-only"));
    }
}
