//! The server: the one that is named, or one of the process's own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// Where `scripts/test` names the server that it has started for all tests.
const VARIABLE: &str = "OXBATCH_TEST_POSTGRES";
/// Settings without the cost of durability, which no test waits for; benchmarks start a server with the defaults.
const QUICK: &str = "fsync=off full_page_writes=off";

/// A server that was started for tests alone. Dropped, it is stopped and removed.
#[derive(Debug)]
pub struct TestServer {
    url: String,
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl TestServer {
    /// Starts one, reached over its socket.
    ///
    /// # Panics
    /// When there is no PostgreSQL and it cannot be installed.
    pub fn start() -> Self {
        Self::start_with(&[("OXBATCH_POSTGRES_SETTINGS", QUICK)])
    }

    /// Starts one with variables for `scripts/postgres`, which tells what they are.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    pub fn start_with(variables: &[(&str, &str)]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
        let mut child = Command::new(&script)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", script.display()));
        let mut url = String::new();
        let mut answers = BufReader::new(child.stdout.take().expect("it is piped"));
        answers.read_line(&mut url).expect("it prints text");
        assert!(!url.is_empty(), "{} has started no server; what it says stands above", script.display());
        Self { url: url.trim_end().to_owned(), child, answers }
    }

    /// Does to it what `scripts/postgres` does on a word: `stop`, `crash`, `start`, `standby`.
    ///
    /// # Panics
    /// When it cannot be done.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn tell(&mut self, word: &str) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        writeln!(input, "{word}").expect("the script lives");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it prints text");
        assert_eq!(answer.trim_end(), "done", "the server does not {word}");
    }

    /// Its URL, password included, of a database that always exists.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // The end of its input is what ends the script.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The URL of the server that all tests of the process share. It is started when nobody has.
pub fn shared_server() -> &'static str {
    static OWN: OnceLock<TestServer> = OnceLock::new();
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var(VARIABLE).ok().filter(|url| !url.is_empty()));
    // A static is never dropped: the script sees the end of its input when the process ends.
    named.as_deref().unwrap_or_else(|| OWN.get_or_init(TestServer::start).url())
}
