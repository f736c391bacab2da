//! One loss of power: a job runs until it comes, its machine starts again with what is left, and the job runs to its
//! end.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::cases::{Case, Repository};
use super::disk::{Disk, Lasting, Survival};
use super::fact::Fact;
use super::jobs::{FACT, FIRST, SQLITE, TARGET_URL};
use super::machine::{Ended, Machine, Program};
use super::outcome::Outcome;
use super::server::Server;
use super::service::Service;
use super::store::Store;
use super::switch::{Moment, Passed};
use crate::random::Random;

/// A dead owner's lease on PostgreSQL; the next run waits for its end.
const LEASE: &str = "1s";
/// Time for which a run is tried again that finds the dead owner's lease.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(300);
/// Where the power goes again, it does so before one of so many changes.
const MOST_CHANGES_AGAIN: u64 = 300;

/// The moment of a loss of power, and the part of the disk that it leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) moment: Moment,
    pub(crate) survival: Survival,
    pub(crate) lasting: Lasting,
    pub(crate) seed: u64,
    /// It goes again while the job is on its way to its end, so many times.
    pub(crate) again: u64,
}

/// The run of a case under steady power.
pub(crate) struct Steady {
    pub(crate) outcome: Outcome,
    pub(crate) passed: Passed,
}

/// A case and where it is tried.
pub(crate) struct Trial<'a> {
    pub(crate) case: &'a Case,
    /// The disk as the job finds it.
    pub(crate) image: &'a Disk,
    pub(crate) folder: &'a Path,
}

/// The result of a loss of power.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// It came before the end.
    pub(crate) struck: bool,
    /// Facts that the program had told the outside.
    pub(crate) facts: Vec<Fact>,
    pub(crate) report: String,
    pub(crate) faults: Vec<String>,
}

/// The facts that a run told the outside; its server is still there.
struct Run {
    ended: Ended,
    printed: String,
    said: String,
    facts: Vec<Fact>,
    server: Option<Server>,
}

impl Run {
    fn succeeded(&self) -> bool {
        matches!(self.ended, Ended::ByItself(status) if status.success())
    }

    /// The message on its end.
    fn told(&self) -> String {
        format!("{:?}\n{}{}", self.ended, self.printed, self.said)
    }

    /// Takes over what a program has printed.
    fn read(&mut self, program: &Program) {
        (self.printed, self.said) = (program.outputs.printed(), program.outputs.said());
        let written = self.printed.lines().filter_map(|line| line.strip_prefix(FACT));
        self.facts.extend(written.map(|execution| Fact::RowsWritten { execution: execution.to_owned() }));
    }
}

impl Trial<'_> {
    /// The case without any loss.
    pub(crate) fn steady(&self) -> Result<Steady, String> {
        let machine = Machine::start(self.folder, self.image.clone(), Moment::End)?;
        let run = self.run(&machine, "steady")?;
        let passed = machine.switch.passed();
        if !run.succeeded() {
            return Err(format!("under steady power: {}", run.told()));
        }
        let outcome = self.outcome(&machine, &run)?;
        end(machine, run)?;
        outcome.check_rows(self.case.outputs)?;
        Ok(Steady { outcome, passed })
    }

    /// The case with a loss of power.
    pub(crate) fn cut(&self, cut: Cut, expected: &Outcome) -> Result<Verdict, String> {
        let mut random = Random::new(cut.seed);
        let mut verdict = Verdict::default();
        let (mut disk, mut moment) = (self.image.clone(), cut.moment);
        for attempt in 0..=cut.again {
            let machine = Machine::start(self.folder, disk, moment)?;
            let run = self.run(&machine, &format!("cut-{attempt}"))?;
            verdict.struck |= matches!(run.ended, Ended::PowerLost);
            verdict.facts.extend(run.facts.iter().cloned());
            if matches!(run.ended, Ended::ByItself(_)) && !run.succeeded() {
                verdict.faults.push(format!("attempt {attempt}: {}", run.told()));
            }
            let lost = end(machine, run)?;
            verdict.report += &lost.1;
            disk = lost.0.survivor(cut.survival, cut.lasting, &mut random);
            Server::clear_lock(&mut disk)?;
            moment = Moment::Change(1 + random.below(MOST_CHANGES_AGAIN));
        }
        self.recover(disk, expected, &mut verdict)?;
        Ok(verdict)
    }

    /// Runs the job to its end and looks at everything.
    fn recover(&self, disk: Disk, expected: &Outcome, verdict: &mut Verdict) -> Result<(), String> {
        let machine = Machine::start(self.folder, disk, Moment::End)?;
        let run = self.run(&machine, "after")?;
        if run.succeeded() {
            verdict.faults.extend(self.outcome(&machine, &run)?.differences(expected));
            let repository = self.repository(&machine, &run)?;
            let untrue = verdict.facts.iter().filter_map(|fact| fact.check(&repository).err());
            verdict.faults.extend(untrue);
        } else {
            verdict.faults.push(format!("the job does not end by itself: {}", run.told()));
        }
        end(machine, run).map(drop)
    }

    /// The disk as the case finds it: with its databases, and what the job finds there.
    pub(crate) fn image(case: &Case, folder: &Path) -> Result<Disk, String> {
        let empty = match case.has_postgres() {
            true => Server::image(folder, Disk::empty())?,
            false => Disk::empty(),
        };
        let machine = Machine::start(folder, empty.clone(), Moment::End)?;
        Case::prepare(&machine.disk())?;
        if !case.first_start {
            let first = Case { job: FIRST, is_service: false, ..*case };
            let run = Trial { case: &first, image: &empty, folder }.run(&machine, "first")?;
            if !run.succeeded() {
                return Err(format!("the first job: {}", run.told()));
            }
            run.server.map_or(Ok(()), Server::stop)?;
        }
        machine.stop().map(Disk::forced)
    }

    fn outcome(&self, machine: &Machine, run: &Run) -> Result<Outcome, String> {
        let url = run.server.as_ref().map(Server::url);
        let outcome = Outcome::of(&machine.disk(), url.as_deref())?.with_ledger(&self.repository(machine, run)?)?;
        Ok(if self.case.at_least_once { outcome.without_repeats() } else { outcome })
    }

    fn repository(&self, machine: &Machine, run: &Run) -> Result<Store, String> {
        match (self.case.repository, &run.server) {
            (Repository::Postgres, Some(server)) => Store::postgres(&server.url()),
            _ => Store::sqlite(&machine.disk().join(SQLITE)),
        }
    }

    /// Runs the job, and its server, until it has ended or the power is gone.
    fn run(&self, machine: &Machine, name: &str) -> Result<Run, String> {
        let (printed, said) = (String::new(), String::new());
        let mut run = Run { ended: Ended::PowerLost, printed, said, facts: Vec::new(), server: None };
        if self.case.has_postgres() {
            run.server = Some(Server::start(machine)?);
            if machine.switch.is_gone_within(Duration::ZERO) {
                return Ok(run);
            }
        }
        let start = Instant::now();
        loop {
            let mut program = machine.spawn(name, self.command(run.server.as_ref())?)?;
            self.attend(machine, &mut program, &mut run)?;
            // The lease of the dead runs out by itself.
            let waits = self.case.repository == Repository::Postgres && run.said.contains("already running");
            match run.ended {
                Ended::ByItself(status) if !status.success() && waits && start.elapsed() < PATIENCE => {
                    thread::sleep(PAUSE);
                }
                _ => return Ok(run),
            }
        }
    }

    /// Waits for the end of a program or of the power, beside the client of a service.
    fn attend(&self, machine: &Machine, program: &mut Program, run: &mut Run) -> Result<(), String> {
        let Run { ended, facts, .. } = run;
        let (id, outputs) = (program.id(), program.outputs.clone());
        let attended = thread::scope(|scope| {
            let client = self.case.is_service.then(|| {
                let service = Service { machine, id, outputs: &outputs };
                scope.spawn(move || service.attend(self.case.job, facts))
            });
            *ended = machine.wait(program)?;
            if matches!(ended, Ended::PowerLost) {
                // With the program its connections end, and so does the client.
                machine.switch.off();
                program.await_end()?;
            }
            client.map_or(Ok(()), |client| client.join().unwrap_or_else(|_| Err("the client panicked".to_owned())))
        });
        run.read(program);
        attended.map_err(|fault| format!("{fault}\n{}", run.told()))
    }

    fn command(&self, server: Option<&Server>) -> Result<Command, String> {
        let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        match self.case.is_service {
            true => command.args(["serve", "--listen", "127.0.0.1:0"]),
            false => command.args(["run", self.case.job]),
        };
        command.env_remove("OXBATCH_DATABASE").env("OXBATCH_LEASE", LEASE);
        match (self.case.repository, server) {
            (Repository::Postgres, Some(server)) => command.env("OXBATCH_DATABASE", server.url()),
            (_, Some(server)) => command.args(["--database", SQLITE]).env(TARGET_URL, server.url()),
            (_, None) => command.args(["--database", SQLITE]),
        };
        Ok(command)
    }
}

/// Switches everything off. The answer is the disk, and what has happened to it.
fn end(machine: Machine, run: Run) -> Result<(Disk, String), String> {
    // Before the server is killed: a signal is no loss of power.
    let report = machine.switch.report();
    if let Some(server) = run.server {
        server.kill(&machine.switch)?;
    }
    Ok((machine.stop()?, report))
}
