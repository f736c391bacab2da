//! `ValidatingProcessor`: items must keep the rules that were derived for their type.

use std::fmt::Write;

use garde::Validate;

use super::{ItemError, ItemProcessor, Processed};

/// Passes on the items that keep the rules of their type, which are derived with [`garde`]: a crate that derives them
/// depends on it, in the version that is passed on as [`item::garde`](super::garde).
///
/// ```
/// use garde::Validate;
/// use oxbatch::item::{FunctionWriter, ListReader, ValidatingProcessor};
/// use oxbatch::{ChunkStep, SkipPolicy};
///
/// #[derive(Clone, serde::Serialize, Validate)]
/// struct Strike {
///     #[garde(length(min = 1))]
///     species: String,
///     #[garde(range(max = 500))]
///     speed: u32,
/// }
///
/// let step = ChunkStep::builder("Import")
///     .reader(|_| Ok(ListReader::new([Strike { species: String::new(), speed: 700 }])))
///     .processor(|_| Ok(ValidatingProcessor::new()))
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[Strike]| {
///         println!("{} strikes", chunk.len());
///         Ok(())
///     })))
///     // Goes on without up to ten items, and keeps them.
///     .skip(SkipPolicy::new(10));
/// # let job = oxbatch::Job::builder("Strikes").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// An item that breaks rules is one error of kind [`ErrorKind::Validation`](super::ErrorKind::Validation) that tells
/// all of them, each with its field: `species: length is lower than 1; speed: greater than 500`.
///
/// The derive macro needs the crate `garde` among the author's own dependencies; its features for e-mail addresses,
/// URLs, regular expressions and the like are switched on there.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValidatingProcessor<C = ()> {
    context: C,
}

impl ValidatingProcessor {
    /// Checks rules that need nothing but the item.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<C> ValidatingProcessor<C> {
    /// Checks rules that see a context, such as limits from the parameters of the launch.
    pub fn with_context(context: C) -> Self {
        Self { context }
    }

    #[inline]
    fn checked<I: Validate<Context = C>>(&self, item: I) -> Result<I, ItemError> {
        match item.validate_with(&self.context) {
            Ok(()) => Ok(item),
            Err(report) => Err(refusal(&report)),
        }
    }
}

impl<I> ItemProcessor<I> for ValidatingProcessor<I::Context>
where
    I: Validate<Context: Send> + Send + Sync,
{
    type Output = I;

    const IS_SYNCHRONOUS: bool = true;

    #[inline]
    async fn process(&mut self, item: I) -> Result<Option<I>, ItemError> {
        self.checked(item).map(Some)
    }

    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, I> {
        self.checked(item).map(Some).into()
    }
}

#[cold]
fn refusal(report: &garde::Report) -> ItemError {
    let mut text = String::new();
    for (path, error) in report.iter() {
        let between = if text.is_empty() { "" } else { "; " };
        let path = path.to_string();
        let colon = if path.is_empty() { "" } else { ": " };
        // Writing into a String cannot fail.
        let _ = write!(text, "{between}{path}{colon}{error}");
    }
    ItemError::validation(text)
}
