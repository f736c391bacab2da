//! Searches whatever the program can say, and all that it keeps, for texts that must not be there.

use std::path::Path;

use serde_json::Value;

use crate::service::{Service, Store, text};

/// Ids that are asked for; more than there are of anything.
const IDS: u32 = 25;

/// Texts that must be nowhere, in each form in which they are searched for.
pub(crate) struct Forbidden {
    forms: Vec<(String, String)>,
}

impl Forbidden {
    /// Of secrets: as they are, as JSON and `Debug` write them, in hexadecimal, as a URL has them, and as their plain
    /// hash.
    pub(crate) fn new(secrets: &[&str]) -> Self {
        let mut forms = Vec::new();
        for secret in secrets {
            let inner = |quoted: String| quoted[1..quoted.len() - 1].to_owned();
            let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let percent = secret.bytes().map(|byte| match byte.is_ascii_alphanumeric() {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02X}"),
            });
            let hash = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
            for (form, found) in [
                ("as it is", (*secret).to_owned()),
                ("as JSON", inner(Value::from(*secret).to_string())),
                ("as Debug", inner(format!("{secret:?}"))),
                ("as a URL", percent.collect()),
                ("in hexadecimal", hexadecimal(secret.as_bytes())),
                ("as a plain hash", hexadecimal(hash.as_ref())),
            ] {
                forms.push((form.to_owned(), found));
            }
        }
        Self { forms }
    }

    /// Fails when one of them is in what was found at a place.
    pub(crate) fn check(&self, place: &str, found: &str) -> Result<(), String> {
        for (form, forbidden) in &self.forms {
            if let Some(at) = found.find(forbidden.as_str()) {
                let begin = found.floor_char_boundary(at.saturating_sub(120));
                let end = found.ceil_char_boundary((at + 120).min(found.len()));
                return Err(format!("{place} holds a secret, {form}: …{}…", &found[begin..end]));
            }
        }
        Ok(())
    }

    /// Every answer of every GET route of the service. The number of answers.
    pub(crate) fn in_answers(&self, service: &Service) -> Result<usize, String> {
        let document = service.json("GET", "/openapi.json", None)?;
        let paths = document["paths"].as_object().ok_or("no paths")?;
        let mut answers = 0;
        for (path, _) in paths.iter().filter(|(_, methods)| methods.get("get").is_some()) {
            for path in filled(path) {
                let accepts: &[&str] = match path.ends_with("/logs") || path.ends_with("/skips") {
                    true => &["application/json", "application/x-ndjson", "text/plain"],
                    false => &["*/*"],
                };
                for accept in accepts {
                    let (_, answer) = service.call_with("GET", &path, &format!("Accept: {accept}\r\n"), None)?;
                    self.check(&format!("GET {path}"), &answer)?;
                    answers += 1;
                }
            }
        }
        Ok(answers)
    }

    /// The output of every command that shows something.
    pub(crate) fn in_commands(&self, store: &Store, jobs: &[&str]) -> Result<(), String> {
        let mut commands: Vec<String> = [
            "jobs",
            "executions",
            "instances",
            "nodes",
            "schedules",
            "notices",
            "audit",
            "tokens list",
            "backfill list",
        ]
        .map(str::to_owned)
        .into();
        for job in jobs {
            commands.extend(["jobs", "help run", "executions --job"].map(|command| format!("{command} {job}")));
            commands.push(format!("jobs {job} --schema"));
        }
        for id in 1..=IDS {
            for command in ["show", "logs", "skips", "restart --dry-run", "schedules fires"] {
                commands.push(format!("{command} {id}"));
            }
        }
        for command in commands {
            for json in [&[][..], &["--json"]] {
                let arguments: Vec<&str> = command.split(' ').chain(json.iter().copied()).collect();
                let done = store.command(&arguments)?;
                self.check(&command, &done.said)?;
            }
        }
        Ok(())
    }

    /// All files of the folder but those with the secrets themselves, and all rows of PostgreSQL as text.
    pub(crate) fn in_what_is_kept(&self, store: &Store) -> Result<(), String> {
        self.in_files(store.folder())?;
        let Some(database) = store.database() else { return Ok(()) };
        let tables = database
            .query("SELECT quote_ident(table_name) FROM information_schema.tables WHERE table_schema = 'public'");
        if tables.len() < 10 {
            return Err(format!("the tables were not found: {tables:?}"));
        }
        for table in tables {
            for row in database.query(&format!("SELECT row::text FROM {table} AS row")) {
                self.check(&table, &row)?;
            }
        }
        Ok(())
    }

    fn in_files(&self, folder: &Path) -> Result<(), String> {
        for entry in std::fs::read_dir(folder).map_err(text)? {
            let path = entry.map_err(text)?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "secrets") {
                self.in_files(&path)?;
            } else if path.is_file() {
                let content = std::fs::read(&path).map_err(text)?;
                self.check(&path.display().to_string(), &String::from_utf8_lossy(&content))?;
            }
        }
        Ok(())
    }
}

/// A path of the document with names and ids in place of its parameters.
fn filled(path: &str) -> Vec<String> {
    if path.contains("{id}") {
        return (1..=IDS).map(|id| path.replace("{id}", &id.to_string())).collect();
    }
    if path.contains("{name}") {
        return ["Leaky", "Panicking", "Coded", "nightly"].map(|name| path.replace("{name}", name)).into();
    }
    vec![path.to_owned()]
}
