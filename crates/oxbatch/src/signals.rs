//! The signals that a person or a service manager sends.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::exit::Exit;

/// Signals within this time are one wish: a terminal that closes, or a service manager, sends several.
const ONE_WISH: Duration = Duration::from_millis(500);

/// The request of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT: a person at the keyboard.
    Interrupt,
    /// SIGTERM or SIGHUP: a service manager, or a terminal that is gone.
    Terminate,
}

impl Signal {
    /// Its name, for the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM or SIGHUP",
        }
    }
}

/// The signals since it was made; from then on they no longer end the process by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// None where it was ignored at the start, as `nohup` asks for.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

/// From now on a write beyond the limit of a file's size is an error of that write, as on a full disk, and not the end
/// of the process.
pub(crate) fn catch_file_size() -> io::Result<()> {
    // The handler stays when the stream of its signals is dropped.
    #[cfg(unix)]
    let _stream = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(libc::SIGXFSZ))?;
    Ok(())
}

impl Signals {
    /// Begins to listen.
    #[cfg(unix)]
    pub(crate) fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = if is_ignored(libc::SIGHUP) { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hangup })
    }

    /// Begins to listen.
    #[cfg(not(unix))]
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The next signal.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = hangup => Signal::Terminate,
        }
    }

    /// The next signal.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }

    /// Ends the process at the next signal that is a wish of its own, whatever it is doing; what it leaves is recovered
    /// by the next start.
    pub(crate) fn exit_at_next(mut self) {
        let first = Instant::now();
        tokio::spawn(async move {
            loop {
                self.next().await;
                if first.elapsed() >= ONE_WISH {
                    std::process::exit(Exit::Interrupted.code().into());
                }
            }
        });
    }
}

/// `true` if the process was started with a signal ignored, where the system says so.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}
