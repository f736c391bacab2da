//! A batch service of one's own: its jobs, and everything that comes with Oxbatch.

mod jobs;

use std::process::ExitCode;

fn main() -> ExitCode {
    oxbatch::run(jobs::registry())
}
