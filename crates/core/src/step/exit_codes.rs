//! Exit codes of chunk steps by their counters.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::author_thread::panic_message;
use crate::execution::{Counters, EXIT_COMPLETED_WITH_SKIPS, cause_chain};
use crate::item::BoxError;

/// `COMPLETED_WITH_SKIPS` for a step that has skipped items.
///
/// ```
/// use oxbatch::item::{FunctionWriter, ListReader};
/// use oxbatch::step::exit_codes::completed_with_skips;
/// use oxbatch::{ChunkStep, Job, SkipPolicy, TaskStep};
///
/// let job = Job::builder("Load")
///     .step(
///         ChunkStep::builder("Load")
///             .reader(|_| Ok(ListReader::new(vec![1, 2, 3])))
///             .writer(|_| Ok(FunctionWriter::new(|_: &[i32]| Ok(()))))
///             .skip(SkipPolicy::new(10).any_kind())
///             .exit_code(completed_with_skips),
///     )
///     .on("COMPLETED_WITH_SKIPS").to("Review")
///     .then_end()
///     .step(TaskStep::builder("Review", |_| Ok(())))
///     .build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// # Errors
/// Never.
pub fn completed_with_skips(counters: &Counters) -> Result<Option<String>, BoxError> {
    Ok((counters.skip() > 0).then(|| EXIT_COMPLETED_WITH_SKIPS.to_owned()))
}

type Function = Arc<dyn Fn(&Counters) -> Result<Option<String>, BoxError> + Send + Sync>;

/// The function of a step.
#[derive(Clone)]
pub(crate) struct ExitCode(Function);

impl fmt::Debug for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExitCode")
    }
}

impl ExitCode {
    pub(crate) fn new(
        function: impl Fn(&Counters) -> Result<Option<String>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(function))
    }

    /// The exit code for these counters.
    ///
    /// # Errors
    /// The sentence for a function that failed or panicked.
    pub(crate) fn of(&self, counters: &Counters) -> Result<Option<String>, String> {
        let failed = |why: String| format!("failed to take the exit code from the counters: {why}");
        match std::panic::catch_unwind(AssertUnwindSafe(|| (self.0)(counters))) {
            Ok(Ok(code)) => Ok(code),
            Ok(Err(error)) => Err(failed(cause_chain(error.as_ref()))),
            Err(panic) => Err(failed(panic_message(panic.as_ref()))),
        }
    }
}
