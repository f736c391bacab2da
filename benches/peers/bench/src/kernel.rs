//! A child's time and memory, as the kernel counted them.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use peer_trades::{Answer, BoxError};
use serde::{Deserialize, Serialize};

use crate::rows::Program;

/// The kernel's counts for a child process and those that it waited for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu_seconds: f64,
    /// The largest resident memory of any one process among them.
    pub(crate) peak_kib: i64,
}

/// Runs a program on one piece of work under a process that counts for it.
pub(crate) fn run(program: &Program, task: &[String], folder: &Path) -> Result<(Answer, Usage), BoxError> {
    let report = folder.join("usage.json");
    let output = Command::new(std::env::current_exe()?)
        .arg("time")
        .arg(&report)
        .args(&program.command)
        .args(task)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().unwrap_or_default();
    if !output.status.success() {
        return Err(format!("{} failed ({}): {text}", program.name, output.status).into());
    }
    let answer = serde_json::from_str(last).map_err(|_| format!("{} answered: {text}", program.name))?;
    let usage = serde_json::from_str(&std::fs::read_to_string(&report)?)?;
    std::fs::remove_file(&report)?;
    Ok((answer, usage))
}

/// `time REPORT PROGRAM ARGUMENTS…`: runs the program and leaves the kernel's count in the file.
pub(crate) fn run_and_report(command: &[String]) -> Result<ExitCode, BoxError> {
    let [report, program, arguments @ ..] = command else { return Err("time: nothing to run".into()) };
    let status = Command::new(program).args(arguments).status().map_err(|fault| format!("{program}: {fault}"))?;
    let counted = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    #[expect(clippy::cast_precision_loss, reason = "seconds and microseconds are small")]
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let usage = Usage {
        cpu_seconds: seconds(counted.user_time()) + seconds(counted.system_time()),
        peak_kib: counted.max_rss(),
    };
    std::fs::write(report, serde_json::to_string(&usage)?)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
