//! A client of the W3C's WebDriver protocol, as far as the tests need it: JSON over HTTP to a driver of this machine.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

/// The name of a reference to an element in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Longest wait for an answer of the driver.
const PATIENCE: Duration = Duration::from_secs(60);

/// A key that is no character.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    Tab,
    Enter,
}

/// A session of the driver: one browser.
pub(crate) struct Session {
    agent: Agent,
    url: String,
}

impl Session {
    /// A browser of these capabilities.
    pub(crate) fn new(driver: &str, capabilities: &Value) -> Self {
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().new_agent();
        let mut session = Self { agent, url: format!("{driver}/session") };
        let begun = session.post("", &json!({"capabilities": {"alwaysMatch": capabilities}})).unwrap();
        session.url = format!("{}/{}", session.url, begun["sessionId"].as_str().unwrap());
        session
    }

    fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
        let mut answer = answer.map_err(|error| error.to_string())?;
        let text = answer.body_mut().with_config().limit(64 * 1024 * 1024).read_to_string();
        let value: Value =
            serde_json::from_str(&text.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        match answer.status().is_success() {
            true => Ok(value["value"].clone()),
            false => Err(format!("{}: {}", value["value"]["error"], value["value"]["message"])),
        }
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        Self::read(request.send(body.to_string()))
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, String> {
        Self::read(self.agent.get(format!("{}{path}", self.url)).call())
    }

    /// The first element that fits.
    pub(crate) fn find(&self, selector: &str) -> Result<String, String> {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}))?;
        Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    /// Runs a script in the page; its value.
    pub(crate) fn run(&self, script: &str, is_async: bool) -> Result<Value, String> {
        let path = if is_async { "/execute/async" } else { "/execute/sync" };
        self.post(path, &json!({"script": script, "args": []}))
    }

    /// Presses a key and lets it go.
    pub(crate) fn press(&self, key: Key) -> Result<Value, String> {
        let text = match key {
            Key::Tab => "\u{e004}",
            Key::Enter => "\u{e007}",
        };
        let actions = json!([{"type": "keyDown", "value": text}, {"type": "keyUp", "value": text}]);
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]}))
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn tell(&self, command: &str, parameters: &Value) -> Result<Value, String> {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// The lines of a log since it was read last.
    pub(crate) fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({"type": kind})).unwrap().as_array().unwrap().clone()
    }

    /// Ends the browser.
    pub(crate) fn quit(&self) -> Result<Value, String> {
        Self::read(self.agent.delete(&self.url).call())
    }
}

/// A test that fails leaves no browser behind.
impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.quit();
    }
}
