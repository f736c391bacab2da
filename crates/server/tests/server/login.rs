//! Logging in by a token or a one-time code, the session's cookie, and logging out; the audit log of all that.

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use oxbatch_core::access::{Credential, CredentialKind, Grant, NewToken, TokenId};
use oxbatch_core::repository::{NewPass, PageRequest};
use tower::ServiceExt;

use crate::harness::{Service, request};

async fn token(service: &Service) -> (TokenId, String) {
    let text = Credential::new(CredentialKind::Token).unwrap();
    let (name, time) = ("alice".to_owned(), Timestamp::now());
    let new = NewToken { hash: text.hash(), name, grant: Grant::ALL, time, expire_time: None };
    (service.engine.repository().create_token(new).await.unwrap(), text.text().to_owned())
}

async fn code(service: &Service, token_id: TokenId) -> String {
    let code = Credential::new(CredentialKind::LoginCode).unwrap();
    let (hash, time) = (code.hash(), Timestamp::now());
    let expire_time = time + SignedDuration::from_secs(600);
    service.engine.repository().create_login_code(NewPass { hash, token_id, time, expire_time }).await.unwrap();
    code.text().to_owned()
}

fn form(body: String) -> Request<Body> {
    let request = request("POST", "/login").header("content-type", "application/x-www-form-urlencoded");
    request.header("origin", "http://localhost:8000").body(Body::from(body)).unwrap()
}

async fn raw(service: &Service, request: Request<Body>) -> Response {
    service.router.clone().oneshot(request).await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The cookie that a response sets, as a browser sends it.
fn cookie(response: &Response) -> String {
    header(response, "set-cookie").split(';').next().unwrap().to_owned()
}

async fn get(service: &Service, path: &str, cookie: &str) -> u16 {
    let request = request("GET", path).header("cookie", cookie).body(Body::empty()).unwrap();
    service.send(request).await.status.as_u16()
}

#[tokio::test]
async fn a_login_link_opens_a_page_whose_button_begins_a_session_once() {
    let service = Service::idle().await;
    let (id, _) = token(&service).await;
    let code = code(&service, id).await;
    for _ in 0..2 {
        let page = service.get(&format!("/login?code={code}")).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains(&format!("name=\"code\" value=\"{code}\"")), "{}", page.text);
        assert!(page.header("content-security-policy").unwrap().contains("form-action 'self'"));
    }
    // Under `no-referrer` a browser would say `Origin: null`.
    let request_of_page = request("GET", "/login").body(Body::empty()).unwrap();
    assert_eq!(header(&raw(&service, request_of_page).await, "referrer-policy"), "same-origin");
    let begun = raw(&service, form(format!("code={code}"))).await;
    assert_eq!((begun.status().as_u16(), header(&begun, "location")), (303, "/"));
    let attributes = header(&begun, "set-cookie");
    assert!(attributes.contains("; HttpOnly; SameSite=Lax; Path=/; Max-Age=43200"), "{attributes}");
    assert!(!attributes.contains("Secure"));
    assert_eq!(get(&service, "/jobs", &cookie(&begun)).await, 200);
    assert_eq!(raw(&service, form(format!("code={code}"))).await.status(), 401, "a code holds once");
}

#[tokio::test]
async fn a_token_begins_a_session_that_ends_with_the_log_out() {
    let service = Service::idle().await;
    let (_, text) = token(&service).await;
    let begun = service.post_json("/login", &format!("{{\"token\": \"{text}\"}}")).await;
    assert_eq!(begun.status, 204);
    let cookie = begun.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(get(&service, "/executions", &cookie).await, 200);
    let log_out = |origin: &'static str| {
        let request = request("POST", "/logout").header("cookie", cookie.as_str()).header("origin", origin);
        request.body(Body::empty()).unwrap()
    };
    service.send(log_out("https://evil.example")).await.problem(403);
    assert_eq!(get(&service, "/executions", &cookie).await, 200);
    let ended = service.send(log_out("http://localhost:8000")).await;
    assert_eq!(ended.status, 204);
    assert!(ended.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(get(&service, "/executions", &cookie).await, 401);
}

#[tokio::test]
async fn a_login_that_does_not_fit_is_refused() {
    let service = Service::idle().await;
    let (id, text) = token(&service).await;
    for wrong in ["{\"token\": \"oxb_no\"}", "{\"code\": \"oxl_no\"}", format!("{{\"code\": \"{text}\"}}").as_str()] {
        service.post_json("/login", wrong).await.problem(401);
    }
    for wrong in ["{}", "[]", "{\"token\": 7}", "{\"token\": \"a\", \"code\": \"b\"}", "{\"user\": \"a\"}"] {
        service.post_json("/login", wrong).await.problem(422);
    }
    service.post("/login").await.problem(415);
    let foreign = request("POST", "/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "null")
        .body(Body::from(format!("token={text}")));
    service.send(foreign.unwrap()).await.problem(403);
    service.engine.repository().revoke_token(id, Timestamp::now()).await.unwrap();
    let over = service.post_json("/login", &format!("{{\"token\": \"{text}\"}}")).await.problem(401);
    assert!(over.contains("revoked") && !over.contains(&text), "{over}");
    let page = service.get("/login?code=%22%3E%3Cscript%3E").await;
    assert!(!page.text.contains("script"), "{}", page.text);
}

#[tokio::test]
async fn who_begins_without_a_session_is_led_to_the_login() {
    let service = Service::idle().await;
    token(&service).await;
    let home = service.get("/").await;
    assert_eq!((home.status.as_u16(), home.header("location")), (303, Some("/login")));
}

#[tokio::test]
async fn each_change_is_in_the_audit_log_with_its_outcome() {
    let service = Service::idle().await;
    assert_eq!(service.post("/jobs/Sample/launch?force=true").await.status, 202);
    service.post("/jobs/Nope/launch").await.problem(404);
    let (id, text) = token(&service).await;
    // Until now there was none, which is known for a moment.
    crate::harness::until(async || service.get("/jobs").await.status == 401).await;
    service.post("/jobs/Sample/launch").await.problem(401);
    service.post_json("/login", &format!("{{\"token\": \"{text}\"}}")).await;
    let stop = request("POST", "/executions/1/stop").header("authorization", format!("Bearer {text}"));
    assert_eq!(service.send(stop.body(Body::empty()).unwrap()).await.status, 202);
    let ask = request("GET", "/audit?limit=3").header("authorization", format!("Bearer {text}"));
    let page = service.send(ask.body(Body::empty()).unwrap()).await;
    assert!(page.header("link").unwrap().contains("/audit?limit=3&cursor=a"));
    let shown = page.json();
    let row = |at: usize| ["who", "action", "object", "outcome"].map(|field| shown[at][field].as_str().unwrap());
    assert_eq!(row(0), ["alice", "stop_execution", "/executions/1/stop", "202"]);
    assert_eq!(row(1), ["alice", "log_in", "/login", "204"]);
    assert_eq!(row(2), ["anybody", "launch_job", "/jobs/Nope/launch", "404"]);
    assert_eq!(shown[0]["token_id"], id.0);
    let all = service.engine.repository().audit(None, PageRequest { before: None, limit: 50 }).await.unwrap();
    assert_eq!(all.entries.len(), 4);
    assert_eq!(all.entries[3].outcome.as_deref(), Some("202 /executions/1"));
}

#[tokio::test]
async fn a_change_that_cannot_be_written_down_is_not_made() {
    let service = Service::idle().await;
    service.damage("ALTER TABLE oxbatch_audit RENAME TO elsewhere");
    service.post("/jobs/Sample/launch").await.problem(500);
    assert_eq!(service.get("/executions").await.text, "[]");
}
