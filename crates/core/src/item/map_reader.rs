//! `MapReader`: makes something else of each item of a reader.

use super::forward::forward_reader;
use super::{ItemError, ItemReader};

/// Reads what a function makes of each item of another reader: [`ItemReaderExt::map`](super::ItemReaderExt::map).
///
/// The items of the step are those that the function makes: a skip policy keeps them, and a retry copies them.
pub struct MapReader<R, F> {
    reader: R,
    function: F,
}

impl<R, F> MapReader<R, F> {
    /// Makes something else of the items of `reader`.
    pub fn new(reader: R, function: F) -> Self {
        Self { reader, function }
    }
}

impl<T, R, F> ItemReader for MapReader<R, F>
where
    T: Send,
    R: ItemReader,
    F: FnMut(R::Item) -> T + Send,
{
    type Item = T;

    const CANCEL_SAFE: bool = R::CANCEL_SAFE;

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        Ok(self.reader.read().await?.map(&mut self.function))
    }

    #[inline]
    fn read_now(&mut self) -> Option<T> {
        self.reader.read_now().map(&mut self.function)
    }

    forward_reader!(self => self.reader);
}

impl<R: std::fmt::Debug, F> std::fmt::Debug for MapReader<R, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MapReader").field("reader", &self.reader).finish_non_exhaustive()
    }
}
