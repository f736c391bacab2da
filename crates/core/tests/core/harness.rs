//! Shared parts of the tests of items: a small runtime, and reading to the end.

use std::future::Future;

use oxbatch_core::item::{ItemError, ItemReader};

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Reads to the end.
pub(crate) async fn read_all<R: ItemReader>(reader: &mut R) -> Result<Vec<R::Item>, ItemError> {
    let mut items = Vec::new();
    while let Some(item) = reader.read().await? {
        items.push(item);
    }
    Ok(items)
}
