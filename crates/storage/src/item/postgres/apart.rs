//! A connection of a reader's own, served by a thread of its own.
//!
//! A reader moves to another thread when it reads ahead, while a connection stays on the runtime on which it was
//! opened, and is served there only while that thread waits. So it gets a thread that does nothing else.

use std::thread;

use oxbatch_core::item::ItemError;
use tokio::sync::oneshot;
use tokio_postgres::Client;

use super::database::Database;

/// The connection; dropped, it ends with its thread.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) client: Client,
    /// Its drop ends the thread.
    _until: oneshot::Sender<()>,
}

impl Apart {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(super) async fn connect(database: &Database) -> Result<Self, ItemError> {
        let (sender, receiver) = oneshot::channel();
        let (until, ended) = oneshot::channel();
        let database = database.clone();
        let serve = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                // Nobody listens when the step was dropped, here and below.
                Err(error) => return drop(sender.send(Err(ItemError::other(error)))),
            };
            runtime.block_on(async {
                let connected = database.connect("reads from").await;
                let failed = connected.is_err();
                if sender.send(connected).is_ok() && !failed {
                    let _ = ended.await;
                }
            });
        };
        thread::Builder::new().name("postgres-reader".to_owned()).spawn(serve)?;
        let client = receiver.await.map_err(|_| ItemError::other("the thread of the reader's connection died"))??;
        Ok(Self { client, _until: until })
    }
}
