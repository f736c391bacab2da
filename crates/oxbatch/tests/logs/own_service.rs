//! The runner of tests that are their own service: started with a command the program is an ordinary `oxbatch` binary
//! with jobs of the test, without one it is the test.

use std::process::ExitCode;

use oxbatch::{BoxError, JobRegistry};

/// A test: what it has found out, or the fault.
pub(crate) type Check<'a> = (String, Box<dyn FnOnce() -> Result<String, String> + 'a>);

/// Runs the command of the service, or one test after the other.
pub(crate) fn main<E: Into<BoxError>>(
    registry: impl FnOnce() -> Result<JobRegistry, E>,
    checks: impl FnOnce() -> Vec<Check<'static>>,
) -> ExitCode {
    // Cargo's test runner passes options of the harness; a command of the service is no option.
    if std::env::args().nth(1).is_some_and(|first| !first.starts_with('-')) {
        return oxbatch::run(registry());
    }
    let checks = checks();
    let (all, mut failed) = (checks.len(), 0);
    println!("\nrunning {all} tests");
    for (name, check) in checks {
        match check() {
            Ok(summary) if summary.is_empty() => println!("test {name} ... ok"),
            Ok(summary) => println!("test {name} ... ok ({summary})"),
            Err(fault) => {
                failed += 1;
                println!("test {name} ... FAILED\n{fault}");
            }
        }
    }
    println!("\ntest result: {} passed; {failed} failed", all - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
