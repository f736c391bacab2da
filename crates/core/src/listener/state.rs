//! The state of listeners in an execution and a step execution: the instances, and the errors to be recorded.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::set::Listeners;
use crate::item::BoxError;

/// Errors of listeners that are recorded in full; of more there is the number.
const MAX_RECORDED: usize = 3;

/// The listeners of an execution.
#[derive(Default)]
pub(crate) struct JobListening {
    pub(super) listeners: OnceLock<Listeners>,
    pub(super) errors: ListenerErrors,
    left_behind: AtomicBool,
}

impl JobListening {
    /// Gives up the thread of the listeners, which hangs in one of them.
    pub(crate) fn leave_behind(&self) {
        self.left_behind.store(true, Ordering::Release);
    }

    /// `true` if the thread of the listeners was given up.
    pub(crate) fn are_left_behind(&self) -> bool {
        self.left_behind.load(Ordering::Acquire)
    }

    /// True where there are listeners of the job itself.
    pub(crate) fn has_job_listeners(&self) -> bool {
        self.listeners.get().is_some_and(|listeners| !listeners.jobs.is_empty())
    }

    /// Records an error that changes nothing.
    pub(crate) fn record(&self, error: &str) {
        self.errors.record(error);
    }

    /// The message of the execution's end, with the errors of listeners.
    pub(crate) fn completed(&self, message: Option<String>) -> Option<String> {
        self.errors.added_to(message)
    }
}

/// The listeners of a step execution: those of its job, then its own.
#[derive(Default)]
pub(crate) struct StepListening {
    pub(super) listeners: OnceLock<Listeners>,
    pub(super) errors: ListenerErrors,
    exit_code: Mutex<Option<String>>,
    /// Item listeners, which the wrappers of reader, processor and writer share; each by the address of its factory.
    instances: Mutex<Vec<(usize, Arc<dyn Any + Send + Sync>)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StepListening {
    /// The listeners, where there are any.
    #[inline]
    pub(crate) fn get(&self) -> Option<&Listeners> {
        self.listeners.get()
    }

    /// The message of the step's end, with the errors of listeners.
    pub(crate) fn completed(&self, message: Option<String>) -> Option<String> {
        self.errors.added_to(message)
    }

    /// The exit code that a listener has set.
    pub(crate) fn exit_code(&self) -> Option<String> {
        lock(&self.exit_code).clone()
    }

    pub(super) fn set_exit_code(&self, code: String) {
        *lock(&self.exit_code) = Some(code);
    }

    /// The instance of a factory, built at its first use.
    pub(super) fn instance<L: Send + Sync + 'static>(
        &self,
        key: usize,
        build: impl FnOnce() -> Result<L, BoxError>,
    ) -> Result<Arc<L>, BoxError> {
        let mut instances = lock(&self.instances);
        let known = instances.iter().find(|(known, _)| *known == key).map(|(_, instance)| Arc::clone(instance));
        if let Some(known) = known.and_then(|known| known.downcast().ok()) {
            return Ok(known);
        }
        let built = Arc::new(build()?);
        instances.push((key, built.clone()));
        Ok(built)
    }
}

/// Errors of listeners that change nothing, for the exit message.
#[derive(Default)]
pub(super) struct ListenerErrors(Mutex<Vec<Recorded>>);

struct Recorded {
    text: String,
    times: usize,
}

impl ListenerErrors {
    /// Records an error; the same one is recorded once, with the number of times.
    pub(super) fn record(&self, text: &str) {
        let mut recorded = lock(&self.0);
        if let Some(known) = recorded.iter_mut().find(|known| known.text == text) {
            known.times += 1;
        } else if recorded.len() < MAX_RECORDED {
            recorded.push(Recorded { text: text.to_owned(), times: 1 });
        } else if recorded.len() == MAX_RECORDED {
            recorded.push(Recorded { text: String::new(), times: 1 });
        } else if let Some(others) = recorded.last_mut() {
            others.times += 1;
        }
    }

    fn added_to(&self, message: Option<String>) -> Option<String> {
        let recorded = lock(&self.0);
        let texts = recorded.iter().enumerate().map(|(index, Recorded { text, times })| match (index, times) {
            (MAX_RECORDED, times) => format!("{times} more errors of listeners"),
            (_, 1) => text.clone(),
            (_, times) => format!("{text} ({times} times)"),
        });
        let all: Vec<String> = message.into_iter().chain(texts).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_errors_are_recorded_and_the_others_counted() {
        let errors = ListenerErrors::default();
        assert_eq!(errors.added_to(None), None);
        assert_eq!(errors.added_to(Some("done".to_owned())).as_deref(), Some("done"));
        for text in ["a", "a", "b", "c", "d", "e", "a"] {
            errors.record(text);
        }
        let message = errors.added_to(Some("done".to_owned())).unwrap();
        assert_eq!(message, "done; a (3 times); b; c; 2 more errors of listeners");
    }

    #[test]
    fn a_factory_builds_one_instance_for_a_step() {
        let listening = StepListening::default();
        let first = listening.instance(1, || Ok(7_u8)).unwrap();
        let again = listening.instance::<u8>(1, || Err("built twice".into())).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(listening.instance::<u8>(2, || Err("no".into())).is_err());
    }
}
