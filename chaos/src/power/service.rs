//! A service whose machine loses its power, and a client that keeps each of its answers.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use super::fact::Fact;
use super::machine::{Machine, Outputs};
use crate::http;

/// Launches of the client; each writes all rows once.
pub(crate) const LAUNCHES: usize = 4;
/// A service that has not come so far in this time hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// A service on a machine.
pub(crate) struct Service<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) id: u32,
    pub(crate) outputs: &'a Outputs,
}

impl Service<'_> {
    /// Launches a job several times, waits until all is complete, and ends the service in order; or stops where the
    /// power goes. On a fault the service is killed.
    pub(crate) fn attend(&self, job: &str, facts: &mut Vec<Fact>) -> Result<(), String> {
        let attended = self.launch_all(job, facts);
        match attended {
            Ok(true) => self.signal("-TERM"),
            Ok(false) => {}
            Err(_) => self.signal("-KILL"),
        }
        attended.map(drop)
    }

    fn signal(&self, name: &str) {
        let _ = Command::new("kill").args([name, &self.id.to_string()]).status();
    }

    /// Launches all executions of a job, and returns whether all are complete; otherwise the power is gone.
    fn launch_all(&self, job: &str, facts: &mut Vec<Fact>) -> Result<bool, String> {
        let machine = self.machine;
        let Some(address) = until(machine, || Ok(address(&self.outputs.printed())))? else { return Ok(false) };
        let mut executions = Vec::new();
        for number in 0..LAUNCHES {
            let (key, path) = (format!("launch-{number}"), format!("/jobs/{job}/launch"));
            let body = format!("{{\"number\":{number}}}");
            let launched = until(machine, || launch(address, &path, &key, &body))?;
            let Some(execution) = launched else { return Ok(false) };
            facts.push(Fact::Launched { key, execution: execution.clone() });
            executions.push(execution);
        }
        for execution in executions {
            if until(machine, || has_ended(address, &execution, facts))?.is_none() {
                return Ok(false);
            }
        }
        Ok(until(machine, || all_have_ended(address))?.is_some())
    }
}

/// Tries until there is an answer; none when the power is gone.
fn until<T>(machine: &Machine, mut attempt: impl FnMut() -> Result<Option<T>, String>) -> Result<Option<T>, String> {
    let start = Instant::now();
    loop {
        if let Some(answer) = attempt()? {
            return Ok(Some(answer));
        }
        if machine.switch.is_gone_within(PAUSE) {
            return Ok(None);
        }
        if start.elapsed() > PATIENCE {
            return Err(format!("the service has not come to its end within {PATIENCE:?}"));
        }
    }
}

fn address(printed: &str) -> Option<SocketAddr> {
    printed.split("http://").nth(1)?.split([' ', '\n']).next()?.parse().ok()
}

/// An answer that does not come says nothing; the same key is sent again.
fn launch(address: SocketAddr, path: &str, key: &str, body: &str) -> Result<Option<String>, String> {
    match http::ask(address, "POST", path, Some(key), body) {
        Ok(answer) if answer.status < 300 => {
            let id = answer.body["execution_id"].as_i64().ok_or_else(|| format!("no launch: {}", answer.body))?;
            Ok(Some(id.to_string()))
        }
        Ok(answer) if answer.status < 500 => Err(format!("the launch was answered {}: {}", answer.status, answer.body)),
        _ => Ok(None),
    }
}

fn has_ended(address: SocketAddr, execution: &str, facts: &mut Vec<Fact>) -> Result<Option<()>, String> {
    let Ok(answer) = http::ask(address, "GET", &format!("/executions/{execution}"), None, "") else { return Ok(None) };
    match answer.body["status"].as_str() {
        Some("COMPLETED") => {
            facts.push(Fact::Completed { execution: execution.to_owned() });
            Ok(Some(()))
        }
        // Its machine died under it: another execution of its instance goes on.
        Some("FAILED") if answer.body["exit_code"] == "ABORTED" => Ok(Some(())),
        Some("FAILED" | "STOPPED") => Err(format!("execution {execution} has not completed: {}", answer.body)),
        _ => Ok(None),
    }
}

fn all_have_ended(address: SocketAddr) -> Result<Option<()>, String> {
    let Ok(answer) = http::ask(address, "GET", "/executions?limit=100", None, "") else { return Ok(None) };
    let executions = answer.body.as_array().ok_or_else(|| format!("no list: {}", answer.body))?;
    let is_running = |status: &str| matches!(status, "STARTING" | "STARTED" | "STOPPING");
    let running = executions.iter().any(|execution| execution["status"].as_str().is_none_or(is_running));
    Ok((!running).then_some(()))
}
