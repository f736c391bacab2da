//! The results of the author's factories: a part, or the attempt to build one.

use crate::item::{BoxError, ItemProcessor, ItemReader, ItemWriter};

/// Marks a factory that returns the part itself.
#[derive(Debug)]
pub struct ByValue(());

/// Marks a factory that returns a `Result` of the part.
#[derive(Debug)]
pub struct ByResult(());

/// The result of the function that is given to `.reader(…)`: a reader, or a `Result` of one, so that `?` works in it.
///
/// `How` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reader",
    label = "this function must return a reader, or `Ok` of one",
    note = "a reader implements `ItemReader`; the error of a `Result` is `BoxError`, which `?` makes of any error"
)]
pub trait IntoReader<How> {
    /// The type of the reader.
    type Reader: ItemReader;

    /// The reader.
    ///
    /// # Errors
    /// The author's own.
    fn into_reader(self) -> Result<Self::Reader, BoxError>;
}

impl<R: ItemReader> IntoReader<ByValue> for R {
    type Reader = R;

    fn into_reader(self) -> Result<R, BoxError> {
        Ok(self)
    }
}

impl<R: ItemReader> IntoReader<ByResult> for Result<R, BoxError> {
    type Reader = R;

    fn into_reader(self) -> Self {
        self
    }
}

/// The result of the function that is given to `.processor(…)`: a processor of `I`, or a `Result` of one.
///
/// `How` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not process `{I}`",
    label = "this function must return a processor of `{I}`, which is what the reader reads, or `Ok` of one",
    note = "items own what they hold: a processor of `&str`, or of another type with a lifetime, cannot be a step's"
)]
pub trait IntoProcessor<I: Send, How> {
    /// The type of the processor.
    type Processor: ItemProcessor<I>;

    /// The processor.
    ///
    /// # Errors
    /// The author's own.
    fn into_processor(self) -> Result<Self::Processor, BoxError>;
}

impl<I: Send, P: ItemProcessor<I>> IntoProcessor<I, ByValue> for P {
    type Processor = P;

    fn into_processor(self) -> Result<P, BoxError> {
        Ok(self)
    }
}

impl<I: Send, P: ItemProcessor<I>> IntoProcessor<I, ByResult> for Result<P, BoxError> {
    type Processor = P;

    fn into_processor(self) -> Self {
        self
    }
}

/// The result of the function that is given to `.writer(…)`: a writer of `O`, or a `Result` of one.
///
/// `How` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not write `{O}`",
    label = "this function must return a writer of `{O}`, or `Ok` of one",
    note = "`{O}` is what the processor makes, or what the reader reads where there is no processor"
)]
pub trait IntoWriter<O: Send + Sync, How> {
    /// The type of the writer.
    type Writer: ItemWriter<O>;

    /// The writer.
    ///
    /// # Errors
    /// The author's own.
    fn into_writer(self) -> Result<Self::Writer, BoxError>;
}

impl<O: Send + Sync, W: ItemWriter<O>> IntoWriter<O, ByValue> for W {
    type Writer = W;

    fn into_writer(self) -> Result<W, BoxError> {
        Ok(self)
    }
}

impl<O: Send + Sync, W: ItemWriter<O>> IntoWriter<O, ByResult> for Result<W, BoxError> {
    type Writer = W;

    fn into_writer(self) -> Self {
        self
    }
}
