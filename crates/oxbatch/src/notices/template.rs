//! Bodies of notices: a text with the names of fields in double braces.

use oxbatch_core::notice::Notice;

/// The fields of a notice.
const FIELDS: [&str; 9] = ["id", "kind", "job", "execution", "schedule", "instant", "message", "time", "attempt"];

/// The body unless the settings have another.
const DEFAULT_BODY: &str = r#"{"id": "{{id}}", "kind": "{{kind}}", "job": "{{job}}", "execution": "{{execution}}", "schedule": "{{schedule}}", "instant": "{{instant}}", "message": "{{message}}", "time": "{{time}}"}"#;

/// A text with fields.
#[derive(Debug, Clone)]
pub(super) struct Template {
    /// Texts, each before a field but the last.
    parts: Vec<(String, Option<&'static str>)>,
}

impl Template {
    /// The template of a text, or of the default body.
    ///
    /// # Errors
    /// The name of a field that there is not, or a brace that is not closed.
    pub(super) fn new(text: Option<&str>) -> Result<Self, String> {
        let mut rest = text.unwrap_or(DEFAULT_BODY);
        let mut parts = Vec::new();
        while let Some((before, behind)) = rest.split_once("{{") {
            let (name, behind) = behind.split_once("}}").ok_or("'{{' is not closed by '}}'")?;
            let field = FIELDS.into_iter().find(|field| *field == name.trim());
            let field =
                field.ok_or_else(|| format!("'{}' is no field of a notice: {}", name.trim(), FIELDS.join(", ")))?;
            parts.push((before.to_owned(), Some(field)));
            rest = behind;
        }
        parts.push((rest.to_owned(), None));
        Ok(Self { parts })
    }

    /// The text with the fields of a notice, each as `escape` writes it.
    pub(super) fn filled(&self, notice: &Notice, escape: impl Fn(&str) -> String) -> String {
        let fill = |(text, field): &(String, Option<&'static str>)| {
            format!("{text}{}", field.map(|field| escape(&value(notice, field))).unwrap_or_default())
        };
        self.parts.iter().map(fill).collect()
    }
}

/// A text as it stands between the quotes of a JSON string.
pub(super) fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn value(notice: &Notice, field: &str) -> String {
    match field {
        "id" => notice.id.to_string(),
        "kind" => notice.kind.to_string(),
        "job" => notice.job_name.clone().unwrap_or_default(),
        "execution" => notice.execution_id.map(|id| id.to_string()).unwrap_or_default(),
        "schedule" => notice.schedule.clone().unwrap_or_default(),
        "instant" => notice.instant.map(|instant| instant.to_string()).unwrap_or_default(),
        "message" => notice.message.clone(),
        "attempt" => notice.attempts.to_string(),
        _ => notice.create_time.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;
    use oxbatch_core::execution::ExecutionId;
    use oxbatch_core::notice::{NoticeId, NoticeKind, NoticeState};

    use super::*;

    pub(in crate::notices) fn notice() -> Notice {
        Notice {
            id: NoticeId(7),
            channel: "ops".to_owned(),
            kind: NoticeKind::Failed,
            job_name: Some("Import \"x\"".to_owned()),
            execution_id: Some(ExecutionId(3)),
            schedule: None,
            instant: None,
            message: "line 1\nline \"2\" \u{1}\\".to_owned(),
            create_time: Timestamp::UNIX_EPOCH,
            state: NoticeState::Pending,
            attempts: 1,
            next_attempt: None,
        }
    }

    #[test]
    fn fields_are_named_and_escaped_and_what_is_not_one_is_refused() {
        let body = Template::new(None).unwrap().filled(&notice(), json);
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&read["message"], &read["job"]), (&notice().message.into(), &"Import \"x\"".into()));
        assert_eq!(read["execution"], "3");
        let own = Template::new(Some(r#"{"text": "{{ kind }} {{message}}", "a": {"b": {}}}"#)).unwrap();
        let read: serde_json::Value = serde_json::from_str(&own.filled(&notice(), json)).unwrap();
        assert_eq!(read["text"], "failed line 1\nline \"2\" \u{1}\\");
        assert!(Template::new(Some("{{secret}}")).unwrap_err().contains("'secret' is no field"));
        assert!(Template::new(Some("{{id")).unwrap_err().contains("not closed"));
        // What a field holds is never read as a field.
        let mut hostile = notice();
        hostile.message = "{{id}}".to_owned();
        assert_eq!(Template::new(Some("{{message}}")).unwrap().filled(&hostile, json), "{{id}}");
    }
}
