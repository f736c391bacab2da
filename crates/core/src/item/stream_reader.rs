//! `StreamReader`: the author's own async stream as a reader.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};

use super::{Checkpoint, ErrorKind, ItemError, ItemReader, Origin};

/// Reads what a stream returns: pages of a service, messages of a queue, or an iterator whose items may fail.
///
/// ```
/// use futures_util::stream;
/// use oxbatch::ChunkStep;
/// use oxbatch::item::{FunctionWriter, StreamReader};
///
/// let step = ChunkStep::builder("Import")
///     .reader(|_| {
///         // Asks for page after page, the first one at the item to go on with.
///         Ok(StreamReader::starting_at(|done| {
///             stream::unfold(done, |next| async move { (next < 100).then_some((Ok(next), next + 1)) })
///         }))
///     })
///     .writer(|_| Ok(FunctionWriter::new(|chunk: &[u64]| {
///         println!("{chunk:?}");
///         Ok(())
///     })));
/// # let job = oxbatch::Job::builder("Numbers").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// # Restart
/// The checkpoint is the number of items and errors that are done. The stream must return the same ones in the
/// same order each time: one made by [`starting_at`](Self::starting_at) is reported how many of them to leave out; one
/// made by [`new`](Self::new) cannot seek, so they are read once more and passed over.
///
/// # Errors
/// Those of the stream. One of kind [`ErrorKind::Transient`] stands for no item: the stream's next one is that item.
/// Any other stands in the place of an item that cannot be read.
pub struct StreamReader<S, F> {
    /// Makes the stream, behind what is done.
    make: Option<F>,
    stream: Option<Pin<Box<S>>>,
    done: u64,
}

impl<S, F> StreamReader<S, F>
where
    S: Stream,
    F: FnOnce(u64) -> S,
{
    /// Reads the stream that `make` makes, which begins behind as many items as it is reported.
    pub fn starting_at(make: F) -> Self {
        Self { make: Some(make), stream: None, done: 0 }
    }
}

impl<S: Stream> StreamReader<S, fn(u64) -> S> {
    /// Reads `stream`, which is at its start.
    pub fn new(stream: S) -> Self {
        Self { make: None, stream: Some(Box::pin(stream)), done: 0 }
    }
}

impl<T, S, F> StreamReader<S, F>
where
    S: Stream<Item = Result<T, ItemError>>,
{
    async fn next(&mut self) -> Result<Option<T>, ItemError> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        match stream.next().await {
            Some(item) => {
                let is_done = item.as_ref().err().is_none_or(|error| error.kind() != ErrorKind::Transient);
                self.done += u64::from(is_done);
                item.map(Some)
            }
            None => {
                // A stream must not be asked again.
                self.stream = None;
                Ok(None)
            }
        }
    }
}

impl<T, S, F> ItemReader for StreamReader<S, F>
where
    T: Send,
    S: Stream<Item = Result<T, ItemError>> + Send,
    F: FnOnce(u64) -> S + Send,
{
    type Item = T;

    const CANCEL_SAFE: bool = true;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let done: u64 = checkpoint.map(Checkpoint::read).transpose()?.unwrap_or_default();
        if let Some(make) = self.make.take() {
            self.stream = Some(Box::pin(make(done)));
            self.done = done;
            return Ok(());
        }
        while self.done < done {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let message =
                        format!("checkpoint is behind item {done}, but the stream ended after {} items", self.done);
                    return Err(ItemError::other(message));
                }
                Err(error) if error.kind() == ErrorKind::Transient => return Err(error),
                // It was reported when it was met first.
                Err(_) => {}
            }
        }
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        self.next().await
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        checkpoint.read().ok().map(Origin::behind_items)
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.done).map(Some)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.stream = None;
        Ok(())
    }
}

impl<S, F> std::fmt::Debug for StreamReader<S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamReader").field("done", &self.done).finish_non_exhaustive()
    }
}
