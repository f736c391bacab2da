//! Stop, restart, abandon.

use serde_json::json;

use crate::harness::{Service, request};

#[tokio::test]
async fn a_stop_that_waits_is_answered_when_the_work_has_stopped() {
    let service = Service::start().await;
    service.post("/jobs/Endless/launch").await;
    let answer = service.post("/executions/1/stop?wait=1m").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("STOPPED")));
    let again = service.post("/executions/1/stop").await;
    assert!(again.problem(409).contains("execution 1 is STOPPED"), "{}", again.text);
    assert_eq!(again.json()["execution_id"], 1);
}

#[tokio::test]
async fn a_waiting_execution_is_stopped_at_once() {
    let service = Service::idle().await;
    service.post("/jobs/Sample/launch").await;
    assert_eq!(service.post("/executions/1/stop").await.json()["status"], "STOPPED");
}

#[tokio::test]
async fn a_restart_is_a_new_execution_that_leaves_out_what_is_complete() {
    let service = Service::start().await;
    service.run("Failing", r#"{"a":1}"#).await;
    let answer = service.post("/executions/1/restart").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (202, Some("/executions/2")));
    let expected = json!({
        "message": "Job submitted", "job_name": "Failing", "execution_id": 2, "instance_id": 1, "status": "STARTING",
    });
    assert_eq!(answer.json(), expected);
    service.engine.wait(oxbatch_core::execution::ExecutionId(2), std::time::Duration::from_secs(60)).await.unwrap();
    let steps = service.get("/executions/2/steps").await.json();
    let names: Vec<_> = steps.as_array().unwrap().iter().map(|step| &step["step_name"]).collect();
    assert_eq!(names, ["ErrorStep"]);
    assert_eq!(service.get("/executions/2").await.json()["parameters"], json!({"a": 1}));
}

#[tokio::test]
async fn a_restart_is_refused_with_what_to_do_instead() {
    let service = Service::start().await;
    service.run("Sample", "{}").await;
    let completed = service.post("/executions/1/restart").await;
    assert!(completed.problem(409).contains("launch with force"), "{}", completed.text);
    assert_eq!(completed.json()["execution_id"], 1);
    service.run("Failing", "{}").await;
    service.run("Failing", "{}").await;
    let older = service.post("/executions/2/restart").await;
    assert!(older.problem(409).contains("execution 3 of the same instance came after it"));
    service.post("/jobs/Endless/launch").await;
    assert!(service.post("/executions/4/restart").await.problem(409).contains("still running"));
    assert!(service.post("/executions/4/abandon").await.problem(409).contains("execution 4 is"));
    service.post("/executions/4/stop?wait=1m").await;
}

/// Two operators at one button: one wins, and the other reads why it was too late.
#[tokio::test]
async fn of_two_restarts_at_once_one_is_refused_with_the_reason() {
    for plan in [false, true] {
        let service = Service::start().await;
        service.run("Failing", "{}").await;
        let tag = service.get("/executions/1/restart-plan").await.header("etag").unwrap().to_owned();
        let press = async || {
            let request = request("POST", "/executions/1/restart");
            let request = if plan { request.header("if-match", &tag) } else { request };
            service.send(request.body(axum::body::Body::empty()).unwrap()).await
        };
        let (one, other) = tokio::join!(press(), press());
        let (won, lost) = if one.status == 202 { (one, other) } else { (other, one) };
        assert_eq!((won.status.as_u16(), &won.json()["execution_id"]), (202, &json!(2)), "{}", won.text);
        let reason = lost.problem(409);
        let sentences = ["came after it", "still running", "does not hold any more", "already running", "is running"];
        assert!(sentences.iter().any(|sentence| reason.contains(sentence)), "{reason}");
        assert_eq!(service.get("/executions").await.json().as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn of_two_stops_at_once_of_what_waits_one_is_refused_with_the_reason() {
    let service = Service::idle().await;
    service.post("/jobs/Sample/launch").await;
    let (stopped, again) = tokio::join!(service.post("/executions/1/stop"), service.post("/executions/1/stop"));
    let refused = if stopped.status == 409 { &stopped } else { &again };
    assert!([&stopped, &again].iter().any(|answer| answer.status == 202));
    assert!(refused.problem(409).contains("execution 1 is STOPPED"), "{}", refused.text);
}

#[tokio::test]
async fn an_abandoned_instance_can_only_be_forced() {
    let service = Service::start().await;
    service.run("Failing", "{}").await;
    let answer = service.post("/executions/1/abandon").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("ABANDONED")));
    service.post("/executions/1/abandon").await.problem(409);
    let refused = service.post("/jobs/Failing/launch").await;
    assert!(refused.problem(409).contains("launch with force"));
    assert_eq!(refused.json()["type"], "urn:oxbatch:problem:abandoned");
    assert!(service.post("/executions/1/restart").await.problem(409).contains("launch with force"));
    assert_eq!(service.post("/jobs/Failing/launch?force=true").await.status, 202);
}

#[tokio::test]
async fn operations_on_an_unknown_execution_are_refused() {
    let service = Service::idle().await;
    for operation in ["stop", "restart", "abandon"] {
        assert_eq!(service.post(&format!("/executions/9/{operation}")).await.problem(404), "Execution not found");
        assert!(service.post(&format!("/executions/x/{operation}")).await.problem(400).contains("'x'"));
    }
    assert!(service.post("/executions/9/abandon?wait=1s").await.problem(400).contains("this call takes none"));
}

#[tokio::test]
async fn a_call_that_takes_no_body_refuses_one() {
    let service = Service::start().await;
    service.run("Failing", "{}").await;
    for path in ["/executions/1/restart", "/executions/1/stop", "/executions/1/abandon", "/executions/1/skips/rerun"] {
        let answer = service.post_json(path, r#"{"force": true}"#).await;
        assert_eq!(answer.problem(400), "this call takes no body", "{path}");
    }
    let node = service.get("/nodes").await.json()[0]["id"].as_str().unwrap().to_owned();
    for path in [format!("/nodes/{node}/drain"), format!("/nodes/{node}/undrain")] {
        assert_eq!(service.post_json(&path, "true").await.problem(400), "this call takes no body", "{path}");
    }
    assert_eq!(service.post_json("/executions/1/restart", " {} ").await.status, 202);
}

#[tokio::test]
async fn a_restart_under_another_definition_is_refused_unless_it_accepts_the_changes() {
    let service = Service::start().await;
    service.run("Failing", r#"{"a":1}"#).await;
    service.damage(r#"UPDATE oxbatch_job_execution SET definition = replace(definition, '"task"', '"chunk"')"#);
    for path in ["/executions/1/restart", "/jobs/Failing/launch"] {
        let refused = service.post_json(path, if path.contains("launch") { r#"{"a":1}"# } else { "" }).await;
        assert!(refused.problem(409).contains("'Step1' was a chunk step and is a task step"), "{}", refused.text);
        assert_eq!(refused.json()["type"], "urn:oxbatch:problem:definition-changed");
        assert_eq!(refused.json()["execution_id"], 1);
    }
    service.post("/executions/1/restart?accept_changes=perhaps").await.problem(400);
    let plan = service.get("/executions/1/restart-plan").await.json();
    let change = "'Step1' was a chunk step and is a task step; 'ErrorStep' was a chunk step and is a task step";
    assert_eq!(plan["definition_change"], change);
    let as_planned = async |query: &str| {
        let tag = format!("\"{}\"", plan["tag"].as_str().unwrap());
        let request = request("POST", &format!("/executions/1/restart{query}")).header("if-match", tag);
        service.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    assert_eq!(as_planned("").await.json()["type"], "urn:oxbatch:problem:definition-changed");
    assert_eq!(as_planned("?accept_changes=true").await.status, 202);
    service.engine.wait(oxbatch_core::execution::ExecutionId(2), std::time::Duration::from_secs(60)).await.unwrap();
    let launched = service.post_json("/jobs/Failing/launch?wait=1m", r#"{"a":1}"#).await;
    assert_eq!(launched.status, 202, "the accepted one is in force: {}", launched.text);
}

#[tokio::test]
async fn a_restart_does_what_its_plan_says_or_is_refused_with_the_new_one() {
    let service = Service::start().await;
    service.run("Failing", "{}").await;
    let answer = service.get("/executions/1/restart-plan").await;
    let (plan, etag) = (answer.json(), answer.header("etag").unwrap().to_owned());
    assert_eq!(etag, format!("\"{}\"", plan["tag"].as_str().unwrap()));
    let actions = |course: &serde_json::Value| {
        let elements = course["elements"].as_array().unwrap().iter();
        elements.map(|one| format!("{} {}", one["name"], one["action"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!(actions(&plan["restart"]).last().unwrap(), "ErrorStep RESUME");
    assert!(actions(&plan["restart"])[..1].iter().all(|one| one.ends_with("PASS_OVER")), "{plan}");
    assert!(actions(&plan["force"]).iter().all(|one| one.ends_with(" BEGIN")), "{plan}");
    let restart = async |tag: &str| {
        let request = request("POST", "/executions/1/restart").header("if-match", tag);
        service.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    assert!(restart("W/\"a\"").await.problem(400).contains("if-match"));
    assert!(restart("0123").await.problem(409).contains("does not hold any more"), "quotation marks may be missing");
    let stale = restart("\"0123\"").await;
    assert!(stale.problem(409).contains("does not hold any more"), "{}", stale.text);
    assert_eq!(stale.json()["plan"], plan);
    assert_eq!(restart(&etag).await.json()["execution_id"], 2);
    let late = restart(&etag).await;
    assert!(late.problem(409).contains("does not hold any more"), "{}", late.text);
    assert!(late.json()["plan"]["restart"]["refusal"].as_str().unwrap().contains("came after it"), "{}", late.text);
    service.engine.wait(oxbatch_core::execution::ExecutionId(2), std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(service.get("/executions/99/restart-plan").await.status, 404);
}
