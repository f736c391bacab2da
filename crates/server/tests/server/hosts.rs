//! By which hosts the service may be called, and from which pages.

use axum::body::Body;
use axum::http::{Request, Version};

use crate::harness::{Service, Settings, request};

async fn call(service: &Service, host: &str) -> u16 {
    let request = Request::builder().uri("/jobs").header("host", host).body(Body::empty()).unwrap();
    service.send(request).await.status.as_u16()
}

#[tokio::test]
async fn a_host_that_is_not_its_own_is_refused() {
    let mut settings = Settings { idle: true, ..Settings::default() };
    settings.server.allowed_hosts = vec!["Batch.example.org".to_owned(), "other.example.org:8443".to_owned()];
    let service = Service::with(settings).await;
    for host in [
        "localhost",
        "LocalHost:1234",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]",
        "[::1]:8000",
        "batch.example.org",
        "batch.example.org:443",
        "other.example.org",
    ] {
        assert_eq!(call(&service, host).await, 200, "{host}");
    }
    for host in [
        "example.org",
        "localhost.example.org",
        "evil.org:8000",
        "",
        ":8000",
        "localhost@evil.org",
        "evil.org@localhost",
        "127.0.0.2",
        "localhost:8000, evil.org",
        "a b",
    ] {
        assert_eq!(call(&service, host).await, 421, "{host}");
    }
}

#[tokio::test]
async fn a_service_on_all_addresses_may_be_called_by_any_address_but_not_by_any_name() {
    let service = Service::idle().await;
    let mut config = oxbatch_server::ServerConfig::new("0.0.0.0:8000");
    config.insecure = true;
    let state = oxbatch_server::AppState::new(
        service.engine.clone(),
        &config,
        "0.0.0.0:8000".parse().unwrap(),
        service.shutdown.clone(),
    );
    let service = Service { router: oxbatch_server::router(state), ..service };
    assert_eq!(call(&service, "192.168.7.9:8000").await, 200);
    assert_eq!(call(&service, "[fe80::1]:8000").await, 200);
    assert_eq!(call(&service, "rebound.example.org:8000").await, 421);
}

#[tokio::test]
async fn a_request_without_a_host_is_malformed_unless_it_is_http_1_0() {
    let service = Service::idle().await;
    let bare = || Request::builder().uri("/jobs");
    let none = service.send(bare().body(Body::empty()).unwrap()).await;
    assert!(none.problem(400).contains("Host is missing"));
    let old = service.send(bare().version(Version::HTTP_10).body(Body::empty()).unwrap()).await;
    assert_eq!(old.status, 200);
    let two = bare().header("host", "localhost").header("host", "localhost").body(Body::empty()).unwrap();
    assert!(service.send(two).await.problem(400).contains("more than once"));
}

#[tokio::test]
async fn the_host_of_an_absolute_target_counts_too() {
    let service = Service::idle().await;
    let foreign = request("GET", "http://evil.org/jobs").body(Body::empty()).unwrap();
    service.send(foreign).await.problem(421);
    let own = request("GET", "http://localhost:8000/jobs").body(Body::empty()).unwrap();
    assert_eq!(service.send(own).await.status, 200);
}

#[tokio::test]
async fn a_change_that_a_foreign_page_asks_for_is_refused() {
    let service = Service::idle().await;
    let send = async |method: &str, path: &str, origin: &str| {
        let request = request(method, path).header("origin", origin).body(Body::empty()).unwrap();
        service.send(request).await
    };
    for origin in [
        "https://evil.org",
        "null",
        "http://localhost.evil.org",
        "http://localhost@evil.org",
        "http://localhost:3000",
        "localhost",
        "",
    ] {
        assert!(send("POST", "/jobs/Sample/launch", origin).await.problem(403).contains("Origin"), "{origin}");
    }
    assert_eq!(send("GET", "/jobs", "https://evil.org").await.status, 200);
    assert_eq!(service.get("/executions").await.text, "[]");
    assert_eq!(send("POST", "/jobs/Sample/launch", "http://localhost:8000").await.status, 202);
}
