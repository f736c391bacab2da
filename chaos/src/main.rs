//! Three nodes on one PostgreSQL that are killed, frozen, cut off and restarted while they work; every row is counted.
//!
//! `torture` is the test; `power` is another, of what is left of the work of one machine that loses its power. With any
//! other argument the program is a node: an ordinary `oxbatch` binary with the jobs of both. `scripts/chaos` and
//! `scripts/power-loss` start them.
#![expect(clippy::print_stdout, reason = "a test program reports by itself")]

mod database;
mod driver;
mod expectation;
mod faults;
mod http;
mod jobs;
mod node;
mod options;
mod power;
mod random;
mod rounds;
mod server;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("torture") => {}
        Some("power") => return power::run(arguments),
        _ => return oxbatch::run(jobs::registry()),
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
