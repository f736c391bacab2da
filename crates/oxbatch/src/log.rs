//! The log on standard error: its set-up, and the record of panics.

mod capture;
mod events;

use std::borrow::Cow;
use std::io::{self, Write};
use std::panic::PanicHookInfo;

use oxbatch_core::secret::mask_active;
use tracing::error;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use capture::Capture;
pub(crate) use events::EventLog;

use crate::settings::logging::{LogFormat, LogSettings, without_drivers};
use crate::{colour, progress};

/// The default log level of a service.
pub(crate) const SERVICE_LEVEL: &str = "info";
/// The default log level of a command, whose output says the rest.
pub(crate) const COMMAND_LEVEL: &str = "warn";

/// Begins to log. Called once.
pub(crate) fn init(settings: LogSettings, default_level: &str) {
    let filter = settings.level.unwrap_or_else(|| EnvFilter::new(without_drivers(default_level)));
    let colours = colour::on_stderr();
    let lines = tracing_subscriber::fmt::layer().with_writer(|| LogOutput).with_ansi(colours);
    // Each with a level of its own: what is kept of an execution does not depend on what is shown here.
    let kept = settings.kept.map(|filter| Capture.with_filter(filter));
    let all = tracing_subscriber::registry().with(kept);
    // A subscriber that a caller has set already stays.
    let _ = match settings.format {
        LogFormat::Text => all.with(lines.with_filter(filter)).try_init(),
        LogFormat::Json => all.with(lines.json().flatten_event(true).with_filter(filter)).try_init(),
    };
    std::panic::set_hook(Box::new(log_panic));
}

/// A panic is caught and reported where it is handled; here it gets its location in the source.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    error!(
        panic.location = location,
        thread = std::thread::current().name().unwrap_or_default(),
        "panicked: {message}"
    );
}

/// Standard error, with the progress bars out of the way while a line is written.
struct LogOutput;

impl Write for LogOutput {
    /// A whole line each time; the author's code may have put a secret of its execution into it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes).map(mask_active) {
            Ok(Cow::Owned(masked)) => {
                progress::without_bars(|| io::stderr().lock().write_all(masked.as_bytes()))?;
                Ok(bytes.len())
            }
            _ => progress::without_bars(|| io::stderr().lock().write(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
