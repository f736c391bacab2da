//! Launches batches over the interface and launches them again until they are complete, as a careful client would.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::database::Database;
use crate::http::Answer;
use crate::jobs::{BATCH, LONELY};
use crate::node::Node;
use crate::random::{Random, mixed};

/// A batch that is not complete after so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(150);
const MONITOR_EVERY: Duration = Duration::from_millis(100);

/// The state that the threads of a round share.
pub(crate) struct Work {
    nodes: Vec<Arc<Node>>,
    seed: u64,
    next: AtomicU64,
    stop: AtomicBool,
    done: Mutex<Vec<u64>>,
    faults: Mutex<Vec<String>>,
    /// Answers that a service must not give, whatever happens to it.
    pub(crate) internal: AtomicU64,
    pub(crate) most_lonely: AtomicU64,
}

impl Work {
    /// Work that goes on behind the batch `first`.
    pub(crate) fn new(nodes: Vec<Arc<Node>>, seed: u64, first: u64) -> Self {
        Self {
            nodes,
            seed,
            next: AtomicU64::new(first),
            stop: AtomicBool::new(false),
            done: Mutex::default(),
            faults: Mutex::default(),
            internal: AtomicU64::new(0),
            most_lonely: AtomicU64::new(0),
        }
    }

    /// No batch begins any more; those that have begun go on to their end.
    pub(crate) fn wind_down(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    pub(crate) fn done(&self) -> Vec<u64> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fault(&self, fault: String) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
        self.wind_down();
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Runs batches one after the other.
    pub(crate) fn run_batches(&self) {
        while !self.is_over() {
            let batch = self.next.fetch_add(1, Ordering::SeqCst);
            match self.run_batch(batch) {
                Ok(()) => self.done.lock().unwrap_or_else(PoisonError::into_inner).push(batch),
                Err(fault) => self.fault(format!("batch {batch}: {fault}")),
            }
        }
    }

    fn run_batch(&self, batch: u64) -> Result<(), String> {
        let mut random = Random::new(mixed(&[self.seed, batch]));
        let deadline = Instant::now() + STUCK_AFTER;
        for attempt in 0.. {
            let instance = self.launch(batch, attempt, deadline, &mut random)?;
            if self.await_end(instance, deadline, &mut random)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Asks any node until one answers something that settles the question.
    fn ask(
        &self,
        random: &mut Random,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &str,
    ) -> Result<Answer, String> {
        let answer = random.pick(&self.nodes).ask(method, path, key, body)?;
        if answer.status == 500 {
            self.internal.fetch_add(1, Ordering::SeqCst);
        }
        Ok(answer)
    }

    /// Launches a batch, with one key however often the question is put. The instance.
    fn launch(&self, batch: u64, attempt: u32, deadline: Instant, random: &mut Random) -> Result<i64, String> {
        let key = format!("{}-{batch}-{attempt}", self.seed);
        let (path, body) = (format!("/jobs/{BATCH}/launch"), format!("{{\"batch\":{batch}}}"));
        let mut last = String::new();
        while Instant::now() < deadline {
            match self.ask(random, "POST", &path, Some(&key), &body) {
                Ok(Answer { status: 202, body }) => {
                    return body["instance_id"].as_i64().ok_or_else(|| format!("no instance in {body}"));
                }
                // A recovery has launched it meanwhile.
                Ok(Answer { status: 409, body }) => {
                    let id = body["execution_id"].as_i64().ok_or_else(|| format!("no execution in {body}"))?;
                    if let Ok(Answer { status: 200, body }) =
                        self.ask(random, "GET", &format!("/executions/{id}"), None, "")
                    {
                        return body["job_instance_id"].as_i64().ok_or_else(|| format!("no instance in {body}"));
                    }
                }
                Ok(Answer { status: 429 | 500 | 503, body }) => last = body.to_string(),
                Ok(Answer { status, body }) => return Err(format!("the launch was answered {status} {body}")),
                Err(error) => last = error,
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!("it was not launched within {STUCK_AFTER:?}: {last}"))
    }

    /// Waits for the end of the newest execution; whether it is complete. What failed is launched again by the caller.
    fn await_end(&self, instance: i64, deadline: Instant, random: &mut Random) -> Result<bool, String> {
        let mut last = Value::Null;
        while Instant::now() < deadline {
            let path = format!("/instances/{instance}/executions?limit=1");
            if let Ok(Answer { status: 200, body }) = self.ask(random, "GET", &path, None, "") {
                match (body[0]["status"].as_str(), body[0]["exit_code"].as_str()) {
                    (Some("COMPLETED"), _) => return Ok(true),
                    (Some("FAILED"), _) => return Ok(false),
                    // A shutdown is resumed by itself.
                    (Some("STOPPED"), Some("SHUTDOWN")) | (Some("STARTING" | "STARTED" | "STOPPING"), _) => {}
                    _ => return Err(format!("nobody has asked for this end: {body}")),
                }
                last = body[0].clone();
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!("it is stuck after {STUCK_AFTER:?}: {last}"))
    }

    /// Launches work that has to run alone, one after the other, without waiting for its end.
    pub(crate) fn launch_lonely(&self) {
        let mut random = Random::new(mixed(&[self.seed, u64::MAX]));
        while !self.is_over() {
            let body = format!("{{\"id\":{}}}", random.next() >> 12);
            // What was refused or lost is no loss: nobody counts on it.
            let _ = self.ask(&mut random, "POST", &format!("/jobs/{LONELY}/launch"), None, &body);
            std::thread::sleep(Duration::from_millis(random.below(300)));
        }
    }

    /// Looks again and again how many of the lonely run at once.
    pub(crate) fn watch_lonely(&self, database: &Database) {
        const SQL: &str =
            "SELECT count(*) FROM oxbatch_job_execution WHERE lease_owner IS NOT NULL AND job_name = 'Lonely'";
        while !self.is_over() {
            let running = database.try_query(SQL, &[]).ok().and_then(|rows| rows.first()?.try_get::<_, i64>(0).ok());
            if let Some(running) = running {
                self.most_lonely.fetch_max(running.unsigned_abs(), Ordering::SeqCst);
            }
            std::thread::sleep(MONITOR_EVERY);
        }
    }
}
