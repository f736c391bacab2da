//! Property: whatever the graph, and wherever nodes die, stop or come back from the dead, flows go as a plain
//! interpreter goes, and nothing that was finished is run twice.

mod gate;
mod interpreter;
mod job;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::PageRequest;
use oxbatch_core::{Engine, JobExecution};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use self::gate::Gate;
use self::interpreter::{Seen, interpret};
use self::job::{CODE, Control, Mortal, Told, job};
use self::plan::{CODES, Fate, Launch, Plan, plans};
use crate::harness::{LONG, ON_POSTGRES, TestStore};

/// Longer than a case: nothing is found by a look.
const NEVER: Duration = Duration::from_secs(3600);
/// Time between two looks of the case.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Makes each lease outdated: to the others its owner is dead.
const OUTDATE: &str = if ON_POSTGRES {
    "UPDATE oxbatch_job_execution SET lease_deadline = 'epoch' WHERE lease_owner IS NOT NULL"
} else {
    "UPDATE oxbatch_job_execution SET lease_deadline = 1 WHERE lease_owner IS NOT NULL"
};

/// A case under way.
struct Case {
    store: TestStore,
    control: Arc<Control>,
    told: UnboundedReceiver<Told>,
    engine: Engine,
    mortal: Arc<Mortal>,
    /// Nodes that end.
    ending: Vec<JoinHandle<()>>,
    /// The node shuts down.
    closing: Option<JoinHandle<()>>,
}

async fn start(store: &TestStore, control: &Arc<Control>) -> (Engine, Arc<Mortal>) {
    let mortal = Arc::new(Mortal::new(control));
    let inner = store.repository().await;
    let job = job(&control.plan, &mortal).unwrap();
    let repository = Arc::new(Gate { inner, mortal: Arc::clone(&mortal) });
    let engine = TestStore::start(repository, [job], |config| {
        (config.poll_every, config.renew_every, config.heartbeat_every) = (NEVER, NEVER, NEVER);
        config.lease = NEVER;
        config.max_recoveries = 1_000;
    });
    (engine.await, mortal)
}

async fn executions(engine: &Engine) -> Vec<JobExecution> {
    let page = PageRequest { before: None, limit: 100 };
    let mut all = engine.repository().executions(Default::default(), page).await.unwrap().executions;
    all.reverse();
    all
}

impl Case {
    async fn new(plan: Plan) -> Self {
        let store = TestStore::new();
        let (tell, told) = unbounded_channel();
        let control = Arc::new(Control::new(plan, tell));
        let (engine, mortal) = start(&store, &control).await;
        Self { store, control, told, engine, mortal, ending: Vec::new(), closing: None }
    }

    /// Launches, and waits until nothing runs and nothing resumes by itself.
    async fn launch(&mut self, launch: Launch) {
        let given = GivenParameters::default().with(CODE, CODES[launch.code]);
        let options = LaunchOptions { force: launch.force, ..LaunchOptions::default() };
        self.engine.launch("Model", given, options).await.unwrap();
        while !self.is_over().await {
            let closed = async {
                match &mut self.closing {
                    Some(closing) => closing.await.unwrap(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                told = self.told.recv() => match told.unwrap() {
                    Told::Died(fate) => self.take_over(fate).await,
                    Told::ShutDown => {
                        let engine = self.engine.clone();
                        self.closing = Some(tokio::spawn(async move { engine.shutdown().await }));
                    }
                },
                () = closed => {
                    self.closing = None;
                    (self.engine, self.mortal) = start(&self.store, &self.control).await;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn is_over(&self) -> bool {
        // A death that is still to be told of is seen before what it has written.
        if self.closing.is_some() || self.mortal.is_dead() {
            return false;
        }
        let last = executions(&self.engine).await.pop().unwrap();
        let resumes = matches!(last.exit_code.as_deref(), Some("ABORTED" | "SHUTDOWN"));
        !last.status.is_running() && !resumes && !self.mortal.is_dead() && self.closing.is_none()
    }

    /// Another node takes over from one that has died.
    async fn take_over(&mut self, fate: Fate) {
        self.mortal.claims_no_more().await;
        self.store.execute(OUTDATE);
        let (engine, mortal) = start(&self.store, &self.control).await;
        let (dead, undead) = (std::mem::replace(&mut self.engine, engine), std::mem::replace(&mut self.mortal, mortal));
        let closing = self.closing.take();
        if fate == Fate::Dead {
            closing.inspect(JoinHandle::abort);
            dead.repository().close().await.unwrap();
            return;
        }
        // By now nothing is its own any more.
        let owner = dead.config().node.boot_id;
        assert_ne!(owner, self.engine.config().node.boot_id);
        undead.rise();
        self.ending.push(closing.unwrap_or_else(|| tokio::spawn(async move { dead.shutdown().await })));
    }

    /// The visible state at the end.
    async fn seen(mut self) -> Seen {
        for ending in self.ending.drain(..) {
            ending.await.unwrap();
        }
        let mut seen = Seen { seen: self.control.seen(), ..Seen::default() };
        let all = executions(&self.engine).await;
        let repository = self.engine.repository();
        for (index, execution) in all.iter().enumerate() {
            let code = execution.exit_code.as_deref().unwrap_or_default();
            seen.executions.push(format!("{} {code}", execution.status));
            for step in repository.steps(execution.id).await.unwrap() {
                let (name, round, code) = (step.step_name, step.iteration, step.exit_code.unwrap_or_default());
                seen.attempts.push(format!("{} {name}#{round} {} {code}", index + 1, step.status));
            }
        }
        let history = repository.flow_history(all.last().unwrap().id).await.unwrap();
        let line = |entry: &oxbatch_core::execution::FlowEntry| {
            format!("{}#{} {} {}", entry.element, entry.iteration, entry.exit_code, entry.taken)
        };
        seen.history = history.iter().map(line).collect();
        self.engine.shutdown().await;
        assert_eq!(self.control.haunted(), Vec::<&str>::new(), "written by nodes after their death");
        seen
    }
}

/// True if the graph of a plan can be built; a random one has elements to which nothing leads.
fn can_be_built(plan: &Plan) -> bool {
    keeps_history(plan).is_some()
}

fn keeps_history(plan: &Plan) -> Option<bool> {
    let mortal = Arc::new(Mortal::new(&Arc::new(Control::new(plan.clone(), unbounded_channel().0))));
    job(plan, &mortal).map(|job| job.flow().keeps_history())
}

async fn check(plan: Plan) {
    let expected = interpret(&plan, keeps_history(&plan).unwrap());
    let run = async {
        let mut case = Case::new(plan.clone()).await;
        for launch in plan.launches {
            case.launch(launch).await;
        }
        case.seen().await
    };
    // Elapsed: it hangs.
    let seen = tokio::time::timeout(LONG, run).await.unwrap();
    assert_eq!(seen, expected);
}

/// Cases that run at the same time: each waits for the disk most of the time.
const RUNNERS: u32 = 4;

#[test]
fn flows_go_as_a_plain_interpreter_does_whatever_the_graph_and_wherever_nodes_die_or_stop() {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64_u32);
    // Each case has a database of its own, which PostgreSQL takes its time to create.
    let cases = if ON_POSTGRES { asked / 6 } else { asked }.div_ceil(RUNNERS);
    let run = || {
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let plans = plans().prop_filter("its graph can be built", can_be_built);
        let tested = TestRunner::new(config).run(&plans, |plan| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(check(plan));
            // What dead nodes wait for comes no more.
            runtime.shutdown_background();
            Ok(())
        });
        // Boxed: the error carries the whole plan.
        tested.map_err(Box::new)
    };
    std::thread::scope(|scope| {
        let runners: Vec<_> = (0..RUNNERS).map(|_| scope.spawn(run)).collect();
        for runner in runners {
            if let Err(failure) = runner.join().unwrap() {
                panic!("{failure}");
            }
        }
    });
}
