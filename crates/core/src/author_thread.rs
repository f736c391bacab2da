//! The one way to start a thread that runs the author's code: its stack, its small runtime, its log span, its panics.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::{io, thread};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tracing::Span;

/// Stack of the threads on which user code runs, in bytes: as the main thread's.
const STACK_BYTES: usize = 8 * 1024 * 1024;
/// The beginning of tokio's panic when the system gives it no thread for a blocking call.
const NO_THREAD: &str = "OS can't spawn worker thread";
/// The text of tokio's panic when something of an earlier execution is used.
const RUNTIME_ENDED: &str = "Tokio 1.x context was found, but it is being shutdown";

/// Starts a thread with a small runtime of its own for the author's timers and sockets. The value of the body, or its
/// panic, arrives at the receiver once the runtime and then `held` are dropped; nobody need listen any more.
///
/// Log lines of the author's code carry the span in which the caller is.
pub(crate) fn start<T: Send + 'static>(
    name: String,
    held: impl Send + 'static,
    body: impl FnOnce(&Runtime) -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<thread::Result<T>>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    start_with(runtime, name, held, body)
}

/// The same for a runtime that others use, as long as the body lasts.
pub(crate) fn start_runtime(name: String, body: impl FnOnce(&Runtime) + Send + 'static) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    start_with(runtime, name, (), body)?;
    Ok(handle)
}

fn start_with<T: Send + 'static>(
    runtime: Runtime,
    name: String,
    held: impl Send + 'static,
    body: impl FnOnce(&Runtime) -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<thread::Result<T>>> {
    let (sender, ended) = oneshot::channel();
    let span = Span::current();
    thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || {
        let _entered = span.enter();
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let result = body(&runtime);
            // The author's sockets and timers go with their runtime; a call that still blocks there is the author's, too.
            drop(runtime);
            result
        }));
        drop(held);
        let _ = sender.send(result);
    })?;
    Ok(ended)
}

/// The sentence for a panic of the author's code.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    match text.strip_prefix(NO_THREAD) {
        Some(cause) => format!(
            "the system started no more threads for a blocking call{cause}; raise the limit of threads of the user or the \
             service (ulimit -u, TasksMax), or run less at once"
        ),
        None if text.contains(RUNTIME_ENDED) => format!(
            "panicked: {text} (something that outlives its execution, a timer or a client that a factory keeps, belongs to the runtime of an earlier execution, which ended with it: build it anew for each execution, share it within one by `context.shared`, or build it on a runtime of the program's own)"
        ),
        None => format!("panicked: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_tokio_could_not_start_is_no_panic_of_the_job() {
        let of = |text: &str| panic_message(&text.to_owned());
        let message = of("OS can't spawn worker thread: Resource temporarily unavailable (os error 11)");
        assert!(message.starts_with("the system started no more threads for a blocking call: Resource"), "{message}");
        assert!(message.contains("ulimit -u"), "{message}");
        assert_eq!(of("index out of bounds"), "panicked: index out of bounds");
    }
}
