//! A command that delivers a notice: its arguments as they are, without a shell; the body is its standard input.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time of a command; then it is killed, whatever it does with other signals.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Poll interval for its end.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs a command to its end.
pub(super) fn run(arguments: &[String], body: &str) -> Result<(), String> {
    run_within(MAX_TIME, arguments, body)
}

fn run_within(time: Duration, arguments: &[String], body: &str) -> Result<(), String> {
    let (program, rest) = arguments.split_first().ok_or("the command is empty")?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: what it starts ends with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|error| format!("the command '{program}' cannot be started: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        let body = body.to_owned();
        // One that reads nothing must not hold up the end: the pipe breaks when it is killed.
        let write = move || drop(input.write_all(body.as_bytes()));
        std::thread::Builder::new()
            .name("notice input".to_owned())
            .spawn(write)
            .map_err(|error| format!("no thread for the input of '{program}': {error}"))?;
    }
    let deadline = Instant::now() + time;
    loop {
        match child.try_wait().map_err(|error| format!("the command '{program}': {error}"))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("the command '{program}' has ended with {status}")),
            None if Instant::now() >= deadline => {
                let killed = kill(&mut child).and_then(|()| child.wait());
                let problem = killed.err().map(|error| format!(" ({error})")).unwrap_or_default();
                return Err(format!("the command '{program}' was killed after {time:?}{problem}"));
            }
            None => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

/// Kills a command that has not been waited for, and all that it has started and that has stayed in its group.
fn kill(child: &mut Child) -> io::Result<()> {
    // One that may not be signalled is named by the second.
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    child.kill()
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn shell(script: &str) -> Result<(), String> {
        let arguments = ["sh", "-c", script].map(str::to_owned);
        run_within(Duration::from_millis(500), &arguments, &"x".repeat(200_000))
    }

    #[test]
    fn a_command_is_told_by_its_input_and_ends_within_its_time() {
        assert_eq!(shell("test $(wc -c) = 200000"), Ok(()));
        assert_eq!(shell("exit 0"), Ok(()), "it need not read");
        assert!(shell("exit 3").unwrap_err().contains("exit status: 3"));
        let began = Instant::now();
        assert!(shell("trap '' TERM INT HUP; while :; do :; done").unwrap_err().contains("was killed after"));
        assert!(began.elapsed() < Duration::from_secs(5));
        let missing = run(&["/no/such/program".to_owned()], "").unwrap_err();
        assert!(missing.contains("'/no/such/program' cannot be started"), "{missing}");
    }

    #[test]
    fn what_a_command_has_started_is_killed_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (ended, has_ended) = mpsc::channel();
        let read = pipe.clone();
        // It is at its end once nobody holds the other one open.
        std::thread::spawn(move || ended.send(std::fs::read(read).map(|bytes| bytes.len())));
        let script = format!("trap '' TERM; sleep 60 > '{}' & wait", pipe.display());
        assert!(shell(&script).unwrap_err().contains("was killed after"));
        assert_eq!(has_ended.recv_timeout(Duration::from_secs(20)).unwrap().unwrap(), 0);
    }
}
