//! Kills the real binary with SIGKILL at random moments while it runs `NightlyOrders`, and compares history, tables and
//! files with those of a run that nobody disturbed.
//!
//! `OXBATCH_TEST_KILLS` sets the number of kills: a third of it falls to SQLite (4 when it is not set), a sixth to two
//! nodes on PostgreSQL (3). `OXBATCH_TEST_SEED` repeats a run's moments as well as a scheduler allows.
#![expect(clippy::print_stdout, reason = "the seed of a run is told, and how many kills have struck")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod bulk;
#[path = "../cli/harness.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
mod harness;
mod outcome;

use std::path::Path;
use std::time::{Duration, Instant};

use harness::{LONG, Service, TestStore};
use outcome::{Outcome, number, rows};

/// The records of the sample data, so many times.
const COPIES: usize = 3;
/// Kills of one run of the job; behind them it goes on to its end.
const KILLS_OF_A_ROUND: u64 = 5;
/// A kill comes at most so long after the start of its service, or after the progress that is waited for.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(2);
const NEWEST: &str = "SELECT status || ' ' || coalesce(exit_message, '') FROM oxbatch_job_execution
    WHERE job_instance_id = (SELECT max(id) FROM oxbatch_job_instance) ORDER BY id DESC LIMIT 1";
const LOADED: &str = "SELECT coalesce(sum(read_count), 0) || '' FROM oxbatch_step_execution
    WHERE job_instance_id = (SELECT max(id) FROM oxbatch_job_instance)";

/// A linear congruence.
struct Random(u64);

impl Random {
    fn new(of: u64) -> Self {
        let seed = std::env::var("OXBATCH_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + of);
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn kills(share: u64, otherwise: u64) -> u64 {
    std::env::var("OXBATCH_TEST_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .map_or(otherwise, |kills: u64| kills / share)
}

/// Several nodes that work on the same rounds.
struct Nodes {
    store: TestStore,
    nodes: Vec<Service>,
    flags: &'static str,
}

impl Nodes {
    fn start(store: TestStore, count: usize, flags: &'static str) -> Self {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/birdstrikes.csv");
        let data = std::fs::read_to_string(data).unwrap();
        let (header, records) = data.split_once('\n').unwrap();
        let records = format!("{}\n", records.trim_end()).repeat(COPIES);
        store.write("strikes.csv", &format!("{header}\n{records}"));
        let nodes = (0..count).map(|_| Service::start_with(&store, flags)).collect();
        Self { store, nodes, flags }
    }

    /// Each round is an instance of its own: another working day.
    fn launch(&self, round: u64) {
        let day = ["2026-12-07", "2026-12-08", "2026-12-09", "2026-12-10", "2026-12-11"][(round % 5) as usize];
        let (hour, output) = (round / 5, format!("output-{round}"));
        let body = format!(
            "{{\"day\":\"{day}T{:02}:{:02}:00\",\"input\":\"strikes.csv\",\"output\":\"{output}\"}}",
            hour % 24,
            hour / 24
        );
        let answer = self.nodes[0].post("/jobs/NightlyOrders/launch", &body);
        // What a recovery has begun meanwhile runs already.
        assert!(matches!(answer.status, 202 | 409), "{} {}", answer.status, answer.body);
    }

    fn kill(&mut self, index: usize) {
        let mut node = self.nodes.remove(index);
        node.process.signal("KILL");
        node.process.end(LONG);
        self.nodes.push(Service::start_with(&self.store, self.flags));
    }

    fn newest(&self) -> String {
        rows(&self.store, NEWEST).pop().unwrap_or_default()
    }

    /// Waits until the load has read more than it had, or is over.
    fn wait_for_progress(&self, round: u64) {
        let before = number(&self.store, LOADED);
        self.wait_until(round, || number(&self.store, LOADED) > before);
    }

    fn wait_for_the_end(&self, round: u64) {
        self.wait_until(round, || false);
    }

    /// Waits until something holds, or the job is COMPLETED. What was given up after three recoveries without progress
    /// is launched again, as a person does.
    fn wait_until(&self, round: u64, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while self.is_running() && !holds() {
            let newest = self.newest();
            if newest.contains("automatic recoveries") {
                self.launch(round);
            }
            assert!(start.elapsed() < LONG, "neither progress nor an end: {newest}");
            std::thread::sleep(PAUSE);
        }
    }

    fn is_running(&self) -> bool {
        !self.newest().starts_with("COMPLETED")
    }

    /// Runs one round and kills it up to so many times. How many kills struck while it ran.
    fn round(&mut self, round: u64, kills: u64, random: &mut Random) -> u64 {
        self.launch(round);
        let mut struck = 0;
        for _ in 0..kills {
            // Mostly while it works, now and then in the middle of its start or recovery.
            if random.below(3) > 0 {
                self.wait_for_progress(round);
            }
            std::thread::sleep(Duration::from_micros(random.below(LONGEST_PAUSE.as_micros() as u64)));
            struck += u64::from(self.is_running());
            let index = usize::try_from(random.below(self.nodes.len() as u64)).unwrap();
            self.kill(index);
        }
        self.wait_for_the_end(round);
        struck
    }

    fn outcome(&self, round: u64) -> Outcome {
        Outcome::of(&self.store, &self.store.path(&format!("output-{round}")))
    }

    fn check(mut self, kills: u64, random: &mut Random) {
        self.round(0, 0, random);
        let undisturbed = self.outcome(0);
        undisturbed.check();
        let (mut killed, mut struck, mut round) = (0, 0, 0);
        while killed < kills {
            round += 1;
            let of_round = KILLS_OF_A_ROUND.min(kills - killed);
            struck += self.round(round, of_round, random);
            killed += of_round;
            assert_eq!(self.outcome(round), undisturbed, "round {round}");
        }
        println!("{killed} kills, {struck} of them while the job ran, in {round} rounds");
        let running =
            "SELECT count(*) || '' FROM oxbatch_job_execution WHERE status IN ('STARTING','STARTED','STOPPING')";
        assert_eq!(number(&self.store, running), 0);
        self.nodes.into_iter().for_each(Service::terminate);
    }
}

#[test]
fn nightly_orders_come_to_what_an_undisturbed_run_comes_to_after_every_kill() {
    let mut random = Random::new(1);
    Nodes::start(TestStore::new(), 1, "--listen 127.0.0.1:0 --log-level off").check(kills(3, 4), &mut random);
}

#[test]
fn nightly_orders_of_two_nodes_on_postgresql_come_to_the_same_whichever_is_killed() {
    let mut random = Random::new(2);
    let flags = "--listen 127.0.0.1:0 --log-level off --lease 1s";
    Nodes::start(TestStore::on_postgres(), 2, flags).check(kills(6, 3), &mut random);
}
