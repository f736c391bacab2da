//! The driver of the browser: the one that `OXBATCH_TEST_BROWSER` names, or one that `scripts/browser` starts for the
//! tests of this process; it ends with the process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

pub(crate) struct Driver {
    pub(crate) url: String,
    /// The text of axe-core, or why there is none.
    pub(crate) axe: Result<String, String>,
    /// Its input is closed by the end of this process.
    _script: Option<Child>,
}

pub(crate) static DRIVER: LazyLock<Driver> = LazyLock::new(|| match std::env::var("OXBATCH_TEST_BROWSER") {
    Ok(url) => Driver { url, axe: axe(&std::env::var("OXBATCH_TEST_AXE").unwrap_or_default()), _script: None },
    Err(_) => started(),
});

fn started() -> Driver {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/browser");
    let mut child = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || lines.next().expect("scripts/browser says why it starts none").unwrap();
    let (url, said) = (line(), line());
    Driver { url, axe: axe(said.trim_start_matches("axe ")), _script: Some(child) }
}

fn axe(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|_| format!("axe-core is not there, its checks are left out: {path}"))
}
