//! Loss of power: a file system that forgets what was not forced, jobs on it, and what is left of their work.
//!
//! A [`disk`] in memory is mounted through FUSE. A job runs on it until the power goes: its processes are killed while
//! the disk answers nothing any more, and the disk keeps what was forced, and of the rest as much as its mode says.
//! Then the machine starts again, the job is run again to its end, and what it leaves is compared with what it leaves
//! under steady power.

mod cases;
mod disk;
mod fact;
pub(crate) mod jobs;
mod machine;
mod mount;
mod options;
mod outcome;
mod server;
mod service;
mod store;
mod sweep;
mod switch;
mod trial;
mod watchdog;

use std::process::ExitCode;

use machine::Machine;
use options::Options;

/// The exit code of a run that was not possible on this machine: it is no failure.
const NOTHING_DONE: u8 = 77;

/// Runs what the arguments ask for.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let options = match Options::read(arguments) {
        Ok(options) => options,
        Err(problem) => {
            println!("power-loss: {problem}");
            return ExitCode::from(2);
        }
    };
    if let Err(reason) = Machine::is_possible() {
        println!("power-loss: nothing was tried, since {reason}");
        return ExitCode::from(NOTHING_DONE);
    }
    match sweep::run(&options) {
        Ok(summary) => {
            println!("power-loss: ok: {summary}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            println!("power-loss: FAILED: {fault}");
            ExitCode::FAILURE
        }
    }
}
