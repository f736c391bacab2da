//! Access: every route with every role and every way to show a token, and what holds until there is one.

use axum::body::Body;
use axum::http::Request;
use jiff::{SignedDuration, Timestamp};
use oxbatch_core::access::{Credential, CredentialKind, Grant, NewToken, Right, Role, TokenId};
use oxbatch_core::repository::NewPass;
use oxbatch_core::repository::rules::access::may;
use oxbatch_server::TrustedProxies;
use serde_json::Value;
use tower::ServiceExt;

use crate::harness::{Answer, Service, Settings, request, until};

/// A token and a session that stands for it.
pub(crate) struct Known {
    pub(crate) id: TokenId,
    pub(crate) token: String,
    pub(crate) session: String,
}

pub(crate) async fn known(service: &Service, grant: Grant, expire_time: Option<Timestamp>) -> Known {
    let repository = service.engine.repository();
    let token = Credential::new(CredentialKind::Token).unwrap();
    let now = Timestamp::now();
    let new = NewToken { hash: token.hash(), name: "ci".to_owned(), grant, time: now, expire_time };
    let id = repository.create_token(new).await.unwrap();
    let session = Credential::new(CredentialKind::Session).unwrap();
    let expire_time = expire_time.unwrap_or(now + SignedDuration::from_secs(600));
    repository.create_session(NewPass { hash: session.hash(), token_id: id, time: now, expire_time }).await.unwrap();
    Known { id, token: token.text().to_owned(), session: session.text().to_owned() }
}

pub(crate) async fn of_role(service: &Service, role: Role) -> Known {
    known(service, Grant { role, data: false }, None).await
}

/// The ways to show who one is.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Nothing,
    Bearer(&'a str),
    Cookie(&'a str),
    CookieFrom(&'a str, &'a str),
}

fn shown(method: &str, path: &str, shown: Shown<'_>) -> Request<Body> {
    let request = request(method, path);
    let request = match shown {
        Shown::Nothing => request,
        Shown::Bearer(token) => request.header("authorization", format!("Bearer {token}")),
        Shown::Cookie(session) => request.header("cookie", format!("a=b; oxbatch_session={session}")),
        Shown::CookieFrom(session, origin) => {
            request.header("cookie", format!("oxbatch_session={session}")).header("origin", origin)
        }
    };
    request.body(Body::empty()).unwrap()
}

/// The status of an answer and the kind of its problem; what a stream sends is not waited for.
async fn outcome(service: &Service, request: Request<Body>) -> (u16, String) {
    if request.uri().path() == "/events" {
        let response = service.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        return (status, format!("urn:oxbatch:problem:{}", if status == 401 { "unauthorized" } else { "" }));
    }
    let answer = service.send(request).await;
    let kind = match answer.header("content-type") {
        Some("application/problem+json") => answer.json()["type"].as_str().unwrap().to_owned(),
        _ => String::new(),
    };
    if answer.status == 401 {
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    (answer.status.as_u16(), kind)
}

/// Every documented call, and the right that it needs; `None` for those that anybody may ask.
fn calls() -> Vec<(String, String, Option<Right>)> {
    let document = serde_json::to_value(oxbatch_server::document()).unwrap();
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"].as_array().expect("a call states its right");
            let right = security.first().map(|first| first["token"][0].as_str().unwrap());
            let right = right.map(|word| Right::ALL.into_iter().find(|right| right.as_str() == word).unwrap());
            // It ends the session by which it is asked: `login` tries it.
            if path == "/logout" {
                continue;
            }
            let path = path.replace("{name}", "Nope").replace("{id}", "4711");
            calls.push((method.to_uppercase(), path, right));
        }
    }
    calls.push(("GET".to_owned(), "/openapi.json".to_owned(), Some(Right::View)));
    assert!(calls.len() > 50);
    calls
}

const FORBIDDEN: &str = "urn:oxbatch:problem:forbidden";
const FOREIGN: &str = "urn:oxbatch:problem:cross-origin";

#[tokio::test]
async fn every_route_is_open_to_the_roles_that_have_its_right_and_to_nobody_else() {
    let service = Service::idle().await;
    let grants = [(Role::Viewer, false), (Role::Viewer, true), (Role::Operator, false), (Role::Admin, false)];
    let mut all = Vec::new();
    for (role, data) in grants {
        let grant = Grant { role, data };
        all.push((grant, known(&service, grant, None).await));
    }
    let revoked = of_role(&service, Role::Admin).await;
    service.engine.repository().revoke_token(revoked.id, Timestamp::now()).await.unwrap();
    let over = Some(Timestamp::now() - SignedDuration::from_secs(1));
    let expired = known(&service, Grant::ALL, over).await;
    for (method, path, right) in calls() {
        let Some(right) = right else {
            assert_ne!(outcome(&service, shown(&method, &path, Shown::Nothing)).await.0, 401, "{method} {path}");
            continue;
        };
        let wrong = Credential::new(CredentialKind::Token).unwrap();
        for nobody in [
            Shown::Nothing,
            Shown::Bearer(wrong.text()),
            Shown::Bearer(&revoked.token),
            Shown::Bearer(&expired.token),
            Shown::Bearer(&revoked.session),
            Shown::Cookie(&revoked.session),
            Shown::Cookie(&expired.session),
            Shown::Cookie(&revoked.token),
            Shown::CookieFrom(wrong.text(), "http://localhost:8000"),
        ] {
            let (status, kind) = outcome(&service, shown(&method, &path, nobody)).await;
            assert_eq!((status, kind.as_str()), (401, "urn:oxbatch:problem:unauthorized"), "{method} {path}");
        }
        for (grant, known) in &all {
            let foreign = [
                Shown::Cookie(&known.session),
                Shown::CookieFrom(&known.session, "null"),
                Shown::CookieFrom(&known.session, "https://localhost:8000"),
                Shown::CookieFrom(&known.session, "http://localhost:3000"),
                Shown::CookieFrom(&known.session, "https://evil.example"),
            ];
            let own = [Shown::Bearer(&known.token), Shown::CookieFrom(&known.session, "http://localhost:8000")];
            for way in own {
                let (status, kind) = outcome(&service, shown(&method, &path, way)).await;
                let is_refused = status == 401 || kind == FORBIDDEN || kind == FOREIGN;
                assert_eq!(!is_refused, may(*grant, right), "{method} {path} {grant:?}: {status} {kind}");
            }
            for way in foreign {
                let (status, kind) = outcome(&service, shown(&method, &path, way)).await;
                let is_refused = status == 401 || kind == FORBIDDEN || kind == FOREIGN;
                let is_shown = method == "GET" && may(*grant, right);
                assert_eq!(!is_refused, is_shown, "{method} {path} {grant:?}: {status} {kind}");
            }
        }
    }
}

async fn get(service: &Service, path: &str, token: &str) -> Answer {
    service.send(shown("GET", path, Shown::Bearer(token))).await
}

#[tokio::test]
async fn refusals_say_what_would_help() {
    let service = Service::idle().await;
    let viewer = of_role(&service, Role::Viewer).await;
    assert!(service.get("/jobs").await.problem(401).contains("oxbatch tokens create"));
    let problem = get(&service, "/jobs", "oxb_nonsense").await.problem(401);
    assert!(problem.contains("no such token") && !problem.contains("oxb_nonsense"), "{problem}");
    let forbidden = service.send(shown("POST", "/jobs/Sample/launch", Shown::Bearer(&viewer.token))).await.problem(403);
    assert_eq!(forbidden, format!("this needs the role operator; token {} 'ci' has the role viewer", viewer.id));
    let records = get(&service, "/steps/1/skips", &viewer.token).await.problem(403);
    assert!(records.contains("--data"), "{records}");
    service.engine.repository().revoke_token(viewer.id, Timestamp::now()).await.unwrap();
    assert!(get(&service, "/jobs", &viewer.token).await.problem(401).contains("was revoked at"));
    for header in ["Basic YTpi", "Bearer", "Bearer ", "oxb_1"] {
        let request = request("GET", "/jobs").header("authorization", header).body(Body::empty()).unwrap();
        service.send(request).await.problem(401);
    }
}

#[tokio::test]
async fn until_there_is_a_token_this_machine_is_served_but_no_proxy() {
    let service = Service::idle().await;
    assert_eq!(service.get("/jobs").await.status, 200);
    for header in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
        let request = request("GET", "/jobs").header(header, "192.0.2.1").body(Body::empty()).unwrap();
        assert!(service.send(request).await.problem(401).contains("proxy"), "{header}");
    }
    get(&service, "/jobs", "oxb_nonsense").await.problem(401);
    let mut settings = Settings { idle: true, ..Settings::default() };
    settings.server.trusted_proxies = TrustedProxies::new(&["127.0.0.1".to_owned()]).unwrap();
    let service = Service::with(settings).await;
    service.get("/jobs").await.problem(401);
    assert_eq!(service.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn metrics_are_shown_to_all_where_the_settings_say_so() {
    let mut settings = Settings { idle: true, ..Settings::default() };
    settings.server.public = vec!["/openapi.json".to_owned()];
    let service = Service::with(settings).await;
    of_role(&service, Role::Viewer).await;
    assert_eq!(service.get("/openapi.json").await.status, 200);
    service.get("/jobs").await.problem(401);
}

#[tokio::test]
async fn a_read_only_service_shows_and_changes_nothing() {
    let mut settings = Settings { idle: true, ..Settings::default() };
    settings.server.read_only = true;
    let service = Service::with(settings).await;
    for (method, path, right) in calls() {
        let is_change = method != "GET" && matches!(right, Some(Right::Operate | Right::Administer));
        let (status, kind) = outcome(&service, shown(&method, &path, Shown::Nothing)).await;
        assert_eq!(kind == "urn:oxbatch:problem:read-only", is_change, "{method} {path}: {status}");
    }
    assert!(service.post("/jobs/Sample/launch").await.problem(403).contains("--read-only"));
    assert_eq!(service.get("/executions").await.text, "[]");
    assert_eq!(service.post("/jobs/Chunky/preview").await.status, 200);
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn metrics_are_scraped_by_a_known_token_while_the_store_is_away() {
    let service = Service::start().await;
    let [scraper, stranger] = [of_role(&service, Role::Viewer).await, of_role(&service, Role::Viewer).await];
    let scrape = async |known: &Known, path: &str| service.send(shown("GET", path, Shown::Bearer(&known.token))).await;
    assert_eq!(scrape(&scraper, "/metrics").await.status, 200);
    service.damage(
        "ALTER TABLE oxbatch_token RENAME TO token_away; ALTER TABLE oxbatch_job_execution RENAME TO execution_away",
    );
    let answer = scrape(&scraper, "/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.contains("oxbatch_repository_up{node=\"this\"} 0"), "{}", answer.text);
    assert!(answer.text.contains("oxbatch_slots{"), "{}", answer.text);
    // Neither who was never seen, nor anything else.
    assert!(scrape(&stranger, "/metrics").await.status.is_server_error());
    assert!(scrape(&scraper, "/jobs").await.status.is_server_error());
    assert!(!service.send(shown("GET", "/metrics", Shown::Nothing)).await.status.is_success());
    service.clock.set("2099-01-01T00:00:00Z");
    assert!(scrape(&scraper, "/metrics").await.status.is_server_error(), "it was long ago");
    service.damage(
        "ALTER TABLE token_away RENAME TO oxbatch_token; ALTER TABLE execution_away RENAME TO oxbatch_job_execution",
    );
}

#[tokio::test]
async fn a_stream_ends_soon_after_its_token() {
    let service = Service::idle().await;
    let (bearer, cookie, stays) =
        (of_role(&service, Role::Viewer).await, of_role(&service, Role::Viewer).await, of_role(&service, Role::Viewer));
    let stays = stays.await;
    let open = async |way: Shown<'_>| {
        let response = service.router.clone().oneshot(shown("GET", "/events", way)).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body()
    };
    let streams = [open(Shown::Bearer(&bearer.token)).await, open(Shown::Cookie(&cookie.session)).await];
    let mut other = std::pin::pin!(axum::body::to_bytes(open(Shown::Bearer(&stays.token)).await, usize::MAX));
    for known in [&bearer, &cookie] {
        service.engine.repository().revoke_token(known.id, Timestamp::now()).await.unwrap();
    }
    for stream in streams {
        tokio::select! {
            ended = tokio::time::timeout(crate::harness::LONG, axum::body::to_bytes(stream, usize::MAX)) => {
                ended.expect("the stream goes on").unwrap();
            }
            _ = &mut other => panic!("the stream of a token that holds has ended"),
        }
    }
}

#[tokio::test]
async fn a_stream_that_anybody_was_shown_ends_with_the_first_token() {
    let service = Service::idle().await;
    let response = service.router.clone().oneshot(shown("GET", "/events", Shown::Nothing)).await.unwrap();
    assert_eq!(response.status(), 200);
    of_role(&service, Role::Viewer).await;
    let stream = axum::body::to_bytes(response.into_body(), usize::MAX);
    tokio::time::timeout(crate::harness::LONG, stream).await.expect("the stream goes on").unwrap();
}

#[tokio::test]
async fn the_use_of_a_token_is_noted() {
    let service = Service::idle().await;
    let viewer = of_role(&service, Role::Viewer).await;
    assert_eq!(get(&service, "/jobs", &viewer.token).await.status, 200);
    let repository = service.engine.repository();
    until(async || repository.token(viewer.id).await.unwrap().unwrap().last_use_time.is_some()).await;
    assert!(matches!(get(&service, "/openapi.json", &viewer.token).await.json(), Value::Object(_)));
}
