//! Three nodes on one PostgreSQL that are killed, frozen, cut off and restarted while they work; every row is counted.
//!
//! `torture` is the test; with any other argument the program is a node: an ordinary `oxbatch` binary with the jobs of
//! the test. `scripts/chaos` starts it.
#![expect(clippy::print_stdout, reason = "a test program reports by itself")]

mod database;
mod driver;
mod expectation;
mod faults;
mod http;
mod jobs;
mod node;
mod options;
mod proxy;
mod random;
mod rounds;
mod server;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("torture") {
        return oxbatch::run(jobs::registry());
    }
    let options = match options::Options::read(arguments) {
        Ok(options) => options,
        Err(problem) => {
            println!("chaos: {problem}");
            return ExitCode::from(2);
        }
    };
    match rounds::run(&options) {
        Ok(totals) => {
            println!("chaos: ok: {totals}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            println!("chaos: FAILED (seed {}): {fault}", options.seed);
            ExitCode::FAILURE
        }
    }
}
