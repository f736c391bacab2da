//! A service that is reached over HTTP: what the commands ask of it with `--server`.

mod error;
mod shapes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use error::RemoteError;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::job::ParameterType;
use oxbatch_core::{JobExecution, StepExecution};
use serde_json::{Map, Value};
use ureq::Agent;
use ureq::http::{Method, Request, Response, StatusCode};

use shapes::{ExecutionShape, JobShape, LaunchedShape, ProblemShape, StepShape};

/// Longest time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for one request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read: a page of 500 executions with long messages fits many times.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// How often a request that got no answer is sent again; only such that may be repeated.
const MAX_RETRIES: u32 = 5;
/// Wait before the first repetition; doubled by each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(200);

/// A service at an address such as `http://batch.example:8000`.
#[derive(Debug, Clone)]
pub(crate) struct RemoteService {
    agent: Agent,
    /// Without a slash at its end.
    address: Arc<str>,
}

/// How a launch is sent.
#[derive(Debug, Default)]
pub(crate) struct RemoteLaunch {
    pub(crate) parameters: Map<String, Value>,
    pub(crate) force: bool,
    pub(crate) priority: Option<i32>,
    /// The same launch with the same key is answered by the same execution, so a lost answer is asked for again.
    pub(crate) idempotency_key: String,
}

impl RemoteService {
    /// The service at an address; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none of `http://` or `https://`.
    pub(crate) fn new(address: &str) -> Result<Self, String> {
        let address = address.trim_end_matches('/');
        let host = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
        if !host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])) {
            return Err(format!("'{address}' is no address of a service such as http://localhost:8000"));
        }
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("oxbatch/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls());
        Ok(Self { agent: config.build().into(), address: address.into() })
    }

    /// Launches a job; answers the execution's id. Once it has returned, the execution is durable.
    pub(crate) async fn launch(&self, job: &str, launch: RemoteLaunch) -> Result<ExecutionId, RemoteError> {
        let mut path = format!("/jobs/{}/launch?force={}", encode(job), launch.force);
        if let Some(priority) = launch.priority {
            path.push_str(&format!("&priority={priority}"));
        }
        let body = Value::Object(launch.parameters).to_string();
        let request = self.request(Method::POST, &path).header("content-type", "application/json");
        let request = request.header("idempotency-key", launch.idempotency_key);
        let launched: LaunchedShape = self.send_again(request, body).await?;
        Ok(ExecutionId(launched.execution_id))
    }

    /// An execution.
    pub(crate) async fn execution(&self, id: ExecutionId) -> Result<JobExecution, RemoteError> {
        let shape: ExecutionShape = self.get(&format!("/executions/{id}")).await?;
        shape.into_execution().map_err(|problem| self.unreadable(problem))
    }

    /// The steps of an execution.
    pub(crate) async fn steps(&self, id: ExecutionId) -> Result<Vec<StepExecution>, RemoteError> {
        let shapes: Vec<StepShape> = self.get(&format!("/executions/{id}/steps")).await?;
        let steps = shapes.into_iter().map(StepShape::into_step).collect::<Result<_, _>>();
        steps.map_err(|problem| self.unreadable(problem))
    }

    /// An execution with its steps as the service shows them, for `--json`.
    pub(crate) async fn report(&self, id: ExecutionId) -> Result<Value, RemoteError> {
        let execution: Value = self.get(&format!("/executions/{id}")).await?;
        let steps: Value = self.get(&format!("/executions/{id}/steps")).await?;
        Ok(serde_json::json!({ "execution": execution, "steps": steps }))
    }

    /// The types of the parameters that a job declares; empty when it declares none.
    pub(crate) async fn declared(&self, job: &str) -> Result<HashMap<String, ParameterType>, RemoteError> {
        let job: JobShape = self.get(&format!("/jobs/{}", encode(job))).await?;
        let declared = job.parameters.unwrap_or_default().into_iter();
        Ok(declared.map(|declaration| (declaration.name, declaration.kind)).collect())
    }

    /// Asks an execution to stop.
    pub(crate) async fn stop(&self, id: ExecutionId) -> Result<JobExecution, RemoteError> {
        self.operate(id, "stop").await
    }

    /// Gives an execution up.
    pub(crate) async fn abandon(&self, id: ExecutionId) -> Result<JobExecution, RemoteError> {
        self.operate(id, "abandon").await
    }

    async fn operate(&self, id: ExecutionId, what: &str) -> Result<JobExecution, RemoteError> {
        let request = self.request(Method::POST, &format!("/executions/{id}/{what}"));
        let shape: ExecutionShape = self.send(request, String::new()).await?;
        shape.into_execution().map_err(|problem| self.unreadable(problem))
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        self.send_again(self.request(Method::GET, path), String::new()).await
    }

    fn request(&self, method: Method, path: &str) -> ureq::http::request::Builder {
        Request::builder().method(method).uri(format!("{}{path}", self.address)).header("accept", "application/json")
    }

    /// Sends a request that may be repeated, again after a back-off when there is no answer or the service is not ready.
    async fn send_again<T: serde::de::DeserializeOwned>(
        &self,
        request: ureq::http::request::Builder,
        body: String,
    ) -> Result<T, RemoteError> {
        let request = request.body(body).map_err(|error| self.unreadable(error.to_string()))?;
        let mut back_off = FIRST_BACK_OFF;
        for _ in 0..MAX_RETRIES {
            match self.call(request.clone()).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(server = %self.address, %error, "no answer from the service; it is asked again");
                }
                answer => return answer,
            }
            tokio::time::sleep(back_off).await;
            back_off *= 2;
        }
        self.call(request).await
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: ureq::http::request::Builder,
        body: String,
    ) -> Result<T, RemoteError> {
        let request = request.body(body).map_err(|error| self.unreadable(error.to_string()))?;
        self.call(request).await
    }

    /// One request on a thread of the blocking pool.
    async fn call<T: serde::de::DeserializeOwned>(&self, request: Request<String>) -> Result<T, RemoteError> {
        let agent = self.agent.clone();
        let answer = tokio::task::spawn_blocking(move || exchange(&agent, request)).await;
        let lost = |source: Box<dyn std::error::Error + Send + Sync>| RemoteError::Unreachable {
            address: self.address.to_string(),
            source,
        };
        let (status, body) = answer.map_err(|error| lost(error.into()))?.map_err(|error| lost(error.into()))?;
        if status.is_success() {
            return serde_json::from_str(&body).map_err(|error| self.unreadable(error.to_string()));
        }
        let detail = match serde_json::from_str::<ProblemShape>(&body) {
            Ok(problem) => problem.sentence(),
            Err(_) => status.to_string(),
        };
        Err(RemoteError::Refused { address: self.address.to_string(), status: status.as_u16(), detail })
    }

    fn unreadable(&self, problem: String) -> RemoteError {
        RemoteError::Unreadable { address: self.address.to_string(), problem }
    }
}

fn exchange(agent: &Agent, request: Request<String>) -> Result<(StatusCode, String), ureq::Error> {
    let mut response: Response<ureq::Body> = agent.run(request)?;
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string()?;
    Ok((response.status(), body))
}

/// The certificates that the system trusts, and the one provider of TLS in the tree.
fn tls() -> ureq::tls::TlsConfig {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots = roots.iter().map(|root| ureq::tls::Certificate::from_der(root).to_owned());
    ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::new_with_certs(&roots.collect::<Vec<_>>()))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// A name as a part of a path.
fn encode(name: &str) -> String {
    name.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_nothing_else() {
        for address in ["http://localhost:8000", "https://batch.example/", "http://[::1]:8000"] {
            assert!(RemoteService::new(address).is_ok(), "{address}");
        }
        for address in
            ["localhost:8000", "ftp://host", "http://", "http://host/path", "http://user:secret@host", "http://a b"]
        {
            assert!(RemoteService::new(address).is_err(), "{address}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(encode("Nightly-Job_1.x~"), "Nightly-Job_1.x~");
        assert_eq!(encode("a/b ?ü"), "a%2Fb%20%3F%C3%BC");
    }
}
