//! Rules over several parameters of a launch, as the author of a job gives them.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use super::JobParameters;
use crate::author_thread::panic_message;

/// The function of a rule.
type Check = dyn Fn(&JobParameters) -> Result<(), String> + Send + Sync;

/// A function that accepts the parameters of a launch, or says in a sentence what does not fit.
#[derive(Clone)]
pub(super) struct ParametersRule {
    check: Arc<Check>,
}

impl ParametersRule {
    pub(super) fn new(check: impl Fn(&JobParameters) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { check: Arc::new(check) }
    }

    /// The answer of the rule; a panic of it is a refusal, too.
    pub(super) fn check(&self, parameters: &JobParameters) -> Result<(), String> {
        std::panic::catch_unwind(AssertUnwindSafe(|| (self.check)(parameters)))
            .unwrap_or_else(|payload| Err(format!("a rule over the parameters {}", panic_message(payload.as_ref()))))
    }
}

impl fmt::Debug for ParametersRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParametersRule")
    }
}
