//! Rounds of work under faults, each followed by a count of everything.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use oxbatch_test_postgres::Proxy;

use crate::database::Database;
use crate::driver::Work;
use crate::faults::{Cluster, Deck, Kind};
use crate::jobs;
use crate::node::Node;
use crate::options::Options;
use crate::random::{Random, mixed};
use crate::server::Server;
use crate::verify;

const NODES: usize = 3;
/// Clients that each have one batch on its way.
const CLIENTS: usize = 5;

/// The counts of a run.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    rounds: u64,
    faults: BTreeMap<Kind, u64>,
    batches: usize,
    rows: i64,
    executions: i64,
    recovered: i64,
    zombies: usize,
    internal: u64,
    time: Duration,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.values().sum();
        let kinds: Vec<_> = self.faults.iter().map(|(kind, number)| format!("{kind:?} {number}")).collect();
        write!(
            f,
            "{} rounds in {:.0} s, {faults} faults ({}), {} batches of {} rows, each exactly once; {} executions, {} \
             recovered from dead owners, {} times a zombie found its lease lost, {} internal errors; 0 lost, 0 \
             duplicate, 0 stuck",
            self.rounds,
            self.time.as_secs_f64(),
            kinds.join(", "),
            self.batches,
            self.rows,
            self.executions,
            self.recovered,
            self.zombies,
            self.internal
        )
    }
}

/// Runs until the time is over, or something is wrong.
pub(crate) fn run(options: &Options) -> Result<Totals, String> {
    let start = Instant::now();
    let folder = tempfile::Builder::new().prefix("oxbatch-chaos-").tempdir().map_err(|error| error.to_string())?;
    std::fs::create_dir(folder.path().join("out")).map_err(|error| error.to_string())?;
    let server = Server::start()?;
    let database = Database::new(server.url(server.address))?;
    database.execute(jobs::CREATE)?;
    let nodes: Result<Vec<_>, String> = (1..=NODES)
        .map(|number| {
            let proxy = Proxy::before_address(server.address).map_err(|error| error.to_string())?;
            let url = server.url(proxy.address());
            Ok(Arc::new(Node::new(format!("node-{number}"), folder.path(), proxy, url)))
        })
        .collect();
    let mut cluster = Cluster::new(nodes?, server);
    println!("chaos: seed {}, logs in {}", options.seed, folder.path().display());
    let outcome = rounds(options, &mut cluster, &database, folder.path(), start);
    match outcome {
        Ok(totals) => Ok(totals),
        Err(fault) => {
            // Kept: what the nodes and the server have written is all there is to understand it by.
            let kept = folder.keep();
            let _ = std::fs::copy(cluster.server.log(), kept.join("postgres.log"));
            Err(format!("{fault}\nthe logs of the nodes and of the server are kept in {}", kept.display()))
        }
    }
}

fn rounds(
    options: &Options,
    cluster: &mut Cluster,
    database: &Database,
    folder: &Path,
    start: Instant,
) -> Result<Totals, String> {
    let mut deck = Deck::new(Random::new(mixed(&[options.seed, 1])));
    let mut totals = Totals::default();
    let (mut first, mut all) = (1, Vec::new());
    cluster.heal()?;
    while totals.rounds == 0 || start.elapsed() < options.time {
        totals.rounds += 1;
        let began = Instant::now();
        let mut random = Random::new(mixed(&[options.seed, 2, totals.rounds]));
        let work = Work::new(cluster.nodes.clone(), mixed(&[options.seed, totals.rounds]) >> 20, first);
        let struck = under_faults(options, cluster, &work, &mut deck, &mut random)?;
        first = work.next();
        let done = work.done();
        let rows = verify::batches(database, folder, &done)?;
        verify::rest(database, folder)?;
        let lonely = work.most_lonely.load(Ordering::SeqCst);
        if lonely > 1 {
            return Err(format!("{lonely} executions of a job that may run once ran at the same time"));
        }
        println!(
            "chaos: round {}: {} faults ({}); {} batches, {rows} rows, all there once; {:.0} s",
            totals.rounds,
            struck.len(),
            struck.iter().map(|(kind, said)| format!("{kind:?} {said}")).collect::<Vec<_>>().join("; "),
            done.len(),
            began.elapsed().as_secs_f64()
        );
        totals.batches += done.len();
        totals.rows += rows;
        totals.internal += work.internal.load(Ordering::SeqCst);
        for (kind, _) in struck {
            *totals.faults.entry(kind).or_default() += 1;
        }
        all.extend(done);
    }
    // Once more, all of them: nothing came late.
    verify::batches(database, folder, &all)?;
    totals.executions = database.number("SELECT count(*) FROM oxbatch_job_execution")?;
    totals.recovered = database.number("SELECT count(*) FROM oxbatch_job_execution WHERE exit_code = 'ABORTED'")?;
    totals.zombies = cluster.nodes.iter().map(|node| lost_leases(&node.log())).sum();
    totals.time = start.elapsed();
    Ok(totals)
}

/// Lets the clients work while faults strike, mends everything, and waits for what is on its way.
fn under_faults(
    options: &Options,
    cluster: &mut Cluster,
    work: &Work,
    deck: &mut Deck,
    random: &mut Random,
) -> Result<Vec<(Kind, String)>, String> {
    let monitor = Database::new(cluster.server.url(cluster.server.address))?;
    let struck = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| work.run_batches());
        }
        scope.spawn(|| work.launch_lonely());
        scope.spawn(move || work.watch_lonely(&monitor));
        let began = Instant::now();
        let mut struck = Vec::new();
        let mut outcome = Ok(());
        while began.elapsed() < options.round && work.faults().is_empty() {
            std::thread::sleep(Duration::from_millis(200 + random.below(1_300)));
            let kind = deck.next();
            match cluster.strike(kind, random) {
                Ok(said) => struck.push((kind, said)),
                Err(fault) => {
                    outcome = Err(format!("{kind:?}: {fault}"));
                    break;
                }
            }
        }
        work.wind_down();
        let outcome = outcome.and_then(|()| cluster.heal());
        outcome.map(|()| struck)
    })?;
    match work.faults().as_slice() {
        [] => Ok(struck),
        faults => Err(format!("{}\nthe faults of the round: {struck:?}", faults.join("\n"))),
    }
}

/// Number of times that a node has found out that another owns what it runs.
fn lost_leases(log: &Path) -> usize {
    std::fs::read_to_string(log).unwrap_or_default().matches("another node owns the execution by now").count()
}
