//! The commands that do what a button does: for a shell, with every value quoted.

use serde_json::{Map, Value};

use super::frame::Visitor;

/// A command of the shell in its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commands {
    pub(super) curl: String,
    pub(super) oxbatch: String,
}

/// A word of a shell's command.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+?&".contains(c);
    let needs_none = !word.is_empty() && word.chars().all(|c| is_plain(c) && c != '?' && c != '&');
    if needs_none { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// A call of the interface by `curl`; the token is a placeholder.
pub(super) fn curl(visitor: &Visitor, path: &str, headers: &[String], body: Option<&str>) -> String {
    let mut command = format!("curl -X POST {}", quoted(&format!("http://{}{path}", visitor.host)));
    if visitor.name.is_some() {
        command.push_str(" -H \"Authorization: Bearer $OXBATCH_TOKEN\"");
    }
    for header in headers {
        command.push_str(&format!(" -H {}", quoted(header)));
    }
    if let Some(body) = body {
        command.push_str(&format!(" -H 'Content-Type: application/json' -d {}", quoted(body)));
    }
    command
}

/// A call of the interface that changes something.
#[derive(Debug, Clone)]
pub(super) struct Call {
    path: String,
    body: Option<Value>,
}

impl Call {
    pub(super) fn post(path: String) -> Self {
        Self { path, body: None }
    }

    /// The same with a document.
    pub(super) fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Its command by `curl`, where `oxbatch` has none.
    pub(super) fn curl_alone(self, visitor: &Visitor) -> Commands {
        Commands { oxbatch: String::new(), ..self.commands(visitor, &[]) }
    }

    /// Its commands: the second one has these words.
    pub(super) fn commands(self, visitor: &Visitor, words: &[&str]) -> Commands {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let body = self.body.map(|body| body.to_string());
        Commands {
            curl: curl(visitor, &self.path, &[], body.as_deref()),
            oxbatch: format!("oxbatch {}", words.join(" ")),
        }
    }
}

/// The commands of an action on an execution.
pub(super) fn of_execution(visitor: &Visitor, id: i64, action: &str) -> Commands {
    let (path, command) = if action == "rerun" { ("skips/rerun", "skips rerun") } else { (action, action) };
    Commands {
        curl: curl(visitor, &format!("/executions/{id}/{path}"), &[], None),
        oxbatch: format!("oxbatch {command} {id}"),
    }
}

/// The commands of a restart by a plan.
pub(super) fn of_restart(visitor: &Visitor, id: i64, tag: &str) -> Commands {
    Commands {
        curl: curl(visitor, &format!("/executions/{id}/restart"), &[format!("If-Match: \"{tag}\"")], None),
        oxbatch: format!("oxbatch restart {id} --plan {tag}"),
    }
}

/// The commands of a launch; the values of secrets are placeholders.
pub(super) fn of_launch(visitor: &Visitor, job: &str, parameters: &Map<String, Value>) -> Commands {
    let body = Value::Object(parameters.clone()).to_string();
    let words = parameters.iter().map(|(name, value)| match value {
        Value::String(text) => quoted(&format!("{name}={text}")),
        Value::Object(reference) => {
            let secret = reference.get("secret").and_then(Value::as_str).unwrap_or_default();
            quoted(&format!("{name}:secret={secret}"))
        }
        other => quoted(&format!("{name}={other}")),
    });
    let words: Vec<String> = std::iter::once(quoted(job)).chain(words).collect();
    let path = format!("/jobs/{}/launch", segment(job));
    Commands { curl: curl(visitor, &path, &[], Some(&body)), oxbatch: format!("oxbatch launch {}", words.join(" ")) }
}

/// A name as a part of a path.
pub(super) fn segment(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_gets_out_of_its_word() {
        assert_eq!(quoted("a=b"), "a=b");
        assert_eq!(quoted("it's $(rm -rf)"), "'it'\\''s $(rm -rf)'");
        assert_eq!(quoted(""), "''");
        assert_eq!(segment("näme & co"), "n%C3%A4me%20%26%20co");
        let commands = of_launch(
            &Visitor::nobody(),
            "a b",
            serde_json::json!({"x": "1; ls", "y": {"secret": "db"}}).as_object().unwrap(),
        );
        assert_eq!(commands.oxbatch, "oxbatch launch 'a b' 'x=1; ls' y:secret=db");
        let call = Call::post("/pauses".to_owned()).with(serde_json::json!({"reason": "it's"}));
        let paused = call.commands(&Visitor::nobody(), &["pause", "--all", "--reason", "it's"]);
        assert_eq!(paused.oxbatch, "oxbatch pause --all --reason 'it'\\''s'");
        assert!(paused.curl.ends_with("-d '{\"reason\":\"it'\\''s\"}'"), "{}", paused.curl);
        assert!(commands.curl.ends_with("-d '{\"x\":\"1; ls\",\"y\":{\"secret\":\"db\"}}'"), "{}", commands.curl);
    }
}
