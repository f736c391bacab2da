//! Requests to a service over HTTP: one at a time, with timeouts, repeated after a back-off where that may be done.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, LINK};
use ureq::http::request::Builder;
use ureq::http::{Method, Request, Response, StatusCode};

use super::shapes::ProblemShape;
use super::{BearerToken, RemoteError};

/// Longest time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for one request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read: a page of 500 executions with long messages fits many times.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// The number of times that a request without an answer is sent again; only such that may be repeated.
const MAX_RETRIES: u32 = 5;
/// Wait before the first repetition; doubled by each further one.
const FIRST_BACK_OFF: Duration = Duration::from_millis(200);

/// The connection to a service.
#[derive(Debug, Clone)]
pub(super) struct Http {
    agent: Agent,
    /// Without a slash at its end.
    address: Arc<str>,
    pub(super) token: Option<BearerToken>,
}

/// A successful answer.
#[derive(Debug)]
pub(super) struct Answer {
    body: String,
    /// The header that leads to the next page.
    link: Option<String>,
    /// The position behind the lines of a log.
    log_position: Option<String>,
}

impl Http {
    /// A connection to an address; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none of `http://` or `https://`.
    pub(super) fn new(address: &str) -> Result<Self, String> {
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
        Ok(Self { agent: config.build().into(), address: address.into(), token: None })
    }

    /// Reads a resource.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        let answer = self.get_as(path, "application/json").await?;
        self.read(&answer)
    }

    /// Asks for a resource once, without repetitions.
    pub(super) async fn get_once(&self, path: &str) -> Result<(), RemoteError> {
        self.call(self.build(Method::GET, path, &[], String::new())?).await.map(drop)
    }

    /// Reads a resource as text.
    pub(super) async fn text(&self, path: &str) -> Result<String, RemoteError> {
        Ok(self.get_as(path, "text/plain").await?.body)
    }

    /// Reads a page of a list, and the cursor of the next one.
    pub(super) async fn page<T: DeserializeOwned>(&self, path: &str) -> Result<(T, Option<String>), RemoteError> {
        let answer = self.get_as(path, "application/json").await?;
        Ok((self.read(&answer)?, answer.link.as_deref().and_then(cursor)))
    }

    /// Reads a list whose items stand in a line each.
    pub(super) async fn lines<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, RemoteError> {
        let answer = self.get_as(path, "application/x-ndjson").await?;
        let items = answer.body.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        items.map_err(|error: serde_json::Error| self.unreadable(error.to_string()))
    }

    /// Reads lines of a log, and the position behind them.
    pub(super) async fn log_lines<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<(Vec<T>, Option<String>), RemoteError> {
        let answer = self.get_as(path, "application/x-ndjson").await?;
        let items = answer.body.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        Ok((items.map_err(|error: serde_json::Error| self.unreadable(error.to_string()))?, answer.log_position))
    }

    /// Asks for a change that must not be asked for twice.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        self.post_with(path, &[]).await
    }

    /// The same with headers.
    pub(super) async fn post_with<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<T, RemoteError> {
        let answer = self.call(self.build(Method::POST, path, headers, String::new())?).await?;
        self.read(&answer)
    }

    /// Asks for a change with a body of JSON, or none, that must not be asked for twice; null where there is no answer.
    pub(super) async fn change(&self, path: &str, body: Option<Value>) -> Result<Value, RemoteError> {
        let json: &[(&str, &str)] = if body.is_some() { &[("content-type", "application/json")] } else { &[] };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.call(self.build(Method::POST, path, json, body)?).await?;
        if answer.body.is_empty() { Ok(Value::Null) } else { self.read(&answer) }
    }

    /// Asks for a change that may be asked for again, since its headers or its meaning make it one.
    pub(super) async fn post_again<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<T, RemoteError> {
        let answer = self.call_again(self.build(Method::POST, path, headers, body)?).await?;
        self.read(&answer)
    }

    /// The error of an answer that is not what this version expects.
    pub(super) fn unreadable(&self, problem: String) -> RemoteError {
        RemoteError::Unreadable { address: self.address.to_string(), problem }
    }

    async fn get_as(&self, path: &str, accept: &str) -> Result<Answer, RemoteError> {
        self.call_again(self.build(Method::GET, path, &[("accept", accept)], String::new())?).await
    }

    fn build(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Request<String>, RemoteError> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.address));
        let with = |request: Builder, (name, value): &(&str, &str)| request.header(*name, *value);
        let request = headers.iter().fold(request, with);
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.header()),
            None => request,
        };
        request.body(body).map_err(|error| self.unreadable(error.to_string()))
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, RemoteError> {
        serde_json::from_str(&answer.body).map_err(|error| self.unreadable(error.to_string()))
    }

    /// Sends a request, again after a back-off when there is no answer or the service is not ready.
    async fn call_again(&self, request: Request<String>) -> Result<Answer, RemoteError> {
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

    /// One request on a thread of the blocking pool.
    async fn call(&self, request: Request<String>) -> Result<Answer, RemoteError> {
        let agent = self.agent.clone();
        let answer = tokio::task::spawn_blocking(move || exchange(&agent, request)).await;
        let lost = |source: Box<dyn std::error::Error + Send + Sync>| RemoteError::Unreachable {
            address: self.address.to_string(),
            source,
        };
        let (status, answer) = answer.map_err(|error| lost(error.into()))?.map_err(|error| lost(error.into()))?;
        if status.is_success() {
            return Ok(answer);
        }
        let detail = match serde_json::from_str::<ProblemShape>(&answer.body) {
            Ok(problem) => problem.sentence(),
            Err(_) => status.to_string(),
        };
        let detail = match status {
            StatusCode::UNAUTHORIZED => format!("{detail} (give this command one by --token-file or OXBATCH_TOKEN)"),
            _ => detail,
        };
        Err(RemoteError::Refused { address: self.address.to_string(), status: status.as_u16(), detail })
    }
}

fn exchange(agent: &Agent, request: Request<String>) -> Result<(StatusCode, Answer), ureq::Error> {
    let mut response: Response<ureq::Body> = agent.run(request)?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (link, log_position) = (header(LINK.as_str()), header("x-log-position"));
    let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_string()?;
    Ok((response.status(), Answer { body, link, log_position }))
}

/// The cursor in a link to the next page: `</executions?limit=2&cursor=e10>; rel="next"`.
fn cursor(link: &str) -> Option<String> {
    let (path, _) = link.strip_prefix('<')?.split_once('>')?;
    let (_, query) = path.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("cursor=")).map(str::to_owned)
}

/// The certificates that the system trusts, and the one provider of TLS in the tree.
pub(crate) fn tls() -> ureq::tls::TlsConfig {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots = roots.iter().map(|root| ureq::tls::Certificate::from_der(root).to_owned());
    ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::new_with_certs(&roots.collect::<Vec<_>>()))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// A text as a part of a path or as a value of a query.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut path, byte| {
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
            assert!(Http::new(address).is_ok(), "{address}");
        }
        for address in
            ["localhost:8000", "ftp://host", "http://", "http://host/path", "http://user:secret@host", "http://a b"]
        {
            assert!(Http::new(address).is_err(), "{address}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(encode("Nightly-Job_1.x~"), "Nightly-Job_1.x~");
        assert_eq!(encode("a/b ?ü"), "a%2Fb%20%3F%C3%BC");
    }

    #[test]
    fn the_cursor_is_taken_from_the_link_to_the_next_page() {
        assert_eq!(cursor("</executions?job=a%26b&cursor=e10>; rel=\"next\"").as_deref(), Some("e10"));
        assert_eq!(cursor("</executions?cursor=e10&limit=2>; rel=\"next\"").as_deref(), Some("e10"));
        for link in ["", "</executions>; rel=\"next\"", "/executions?cursor=e1"] {
            assert_eq!(cursor(link), None, "{link}");
        }
    }
}
