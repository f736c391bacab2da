//! Notification by LISTEN and NOTIFY: hints that shorten waits, sent and heard next to the work, and never relied on.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::poll_fn;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::Notification;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use super::Store;
use super::connect::Listening;
use super::error::{ServerError, StoreError};

/// The channel of all nodes of a database.
const CHANNEL: &str = "oxbatch";
/// Notification that wait to be sent; further ones are left out.
const OUTBOX: usize = 1024;
/// Notification that wait for who listens here; one who is slower is reported that some were missed.
const HEARD: usize = 1024;
/// The time that a command may be held up by its own notification.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Pause between two batches: what comes meanwhile goes out together.
const BATCH_PAUSE: Duration = Duration::from_millis(10);
/// Most notifications of a batch.
const BATCH: usize = 256;
/// A connection that says nothing for so long is asked whether it lives, and has as long to answer.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// First and longest pause before a lost connection is made again.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Sends them in one statement, whose commit waits for no disk: a hint that is lost in a crash is no loss.
const NOTIFY: &str = "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
     SELECT pg_notify($1, message) FROM quick, unnest($2::text[]) AS message";

/// The notifications of a repository: those that it sends, and those of others.
pub(super) struct Bulletin {
    /// Marks one's own messages, which are not heard again.
    sender_id: String,
    outbox: mpsc::Sender<Notification>,
    heard: broadcast::Sender<Notification>,
    /// The parts that start when they are first needed.
    runtime: Handle,
    unsent: std::sync::Mutex<Option<mpsc::Receiver<Notification>>>,
    listening: std::sync::Once,
}

impl Bulletin {
    pub(super) fn new() -> Self {
        let (outbox, unsent) = mpsc::channel(OUTBOX);
        Self {
            sender_id: Uuid::new_v4().simple().to_string(),
            outbox,
            heard: broadcast::Sender::new(HEARD),
            runtime: Handle::current(),
            unsent: std::sync::Mutex::new(Some(unsent)),
            listening: std::sync::Once::new(),
        }
    }

    /// Hears the notifications of others; the connection for it is made by the first who listens.
    pub(super) fn listen(&self, store: &Arc<Store>) -> broadcast::Receiver<Notification> {
        let receiver = self.heard.subscribe();
        self.listening.call_once(|| {
            self.runtime.spawn(hear(Arc::downgrade(store), self.heard.clone(), self.sender_id.clone()));
        });
        receiver
    }

    /// Notifies others, soon and without a wait.
    pub(super) fn notify(&self, store: &Arc<Store>, notification: Notification) {
        let unsent = self.unsent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(unsent) = unsent {
            self.runtime.spawn(send(Arc::downgrade(store), unsent));
        }
        // A full box means that much is reported anyway; a listener polls by itself.
        let _ = self.outbox.try_send(notification);
    }

    /// Notifies others, and has done so when it returns, unless that takes too long.
    pub(super) async fn notify_now(&self, store: &Store, notification: Notification) {
        let messages: Vec<_> = self.message(&notification).into_iter().collect();
        if !matches!(tokio::time::timeout(AT_ONCE, post(store, &messages)).await, Ok(Ok(()))) {
            tracing::debug!(?notification, "notifications were not sent");
        }
    }

    fn message(&self, notification: &Notification) -> Option<String> {
        let (word, id) = match notification {
            Notification::Work => ("work", None),
            Notification::StopRequested(id) => ("stop", Some(id)),
            Notification::Started(id) => ("started", Some(id)),
            Notification::Ended(id) => ("ended", Some(id)),
            Notification::Drain => ("drain", None),
            Notification::Missed => return None,
        };
        let sender = &self.sender_id;
        Some(id.map_or_else(|| format!("{sender} {word}"), |id| format!("{sender} {word} {id}")))
    }
}

/// Reads a message of somebody else's.
fn read(message: &str, own: &str) -> Option<Notification> {
    let (sender, rest) = message.split_once(' ')?;
    let (word, id) = rest.split_once(' ').map_or((rest, None), |(word, id)| (word, Some(id)));
    let id = id.and_then(|id| id.parse().ok()).map(ExecutionId);
    match (word, id) {
        _ if sender == own => None,
        ("work", None) => Some(Notification::Work),
        ("drain", None) => Some(Notification::Drain),
        ("stop", Some(id)) => Some(Notification::StopRequested(id)),
        ("started", Some(id)) => Some(Notification::Started(id)),
        ("ended", Some(id)) => Some(Notification::Ended(id)),
        // A newer version may send more.
        _ => None,
    }
}

/// Sends what was reported, in batches, until the repository is gone.
async fn send(store: Weak<Store>, mut unsent: mpsc::Receiver<Notification>) {
    let mut batch = Vec::new();
    while unsent.recv_many(&mut batch, BATCH).await > 0 {
        let Some(store) = store.upgrade() else { return };
        let mut messages: Vec<_> =
            batch.drain(..).filter_map(|notification| store.bulletin.message(&notification)).collect();
        messages.dedup();
        if let Err(error) = post(&store, &messages).await {
            tracing::debug!(?error, "notifications were not sent");
        }
        drop(store);
        tokio::time::sleep(BATCH_PAUSE).await;
    }
}

async fn post(store: &Store, messages: &[String]) -> Result<(), StoreError> {
    let session = store.connections.session().await?;
    session.query(NOTIFY, &[&CHANNEL, &messages]).await.map(drop)
}

/// Hears the notifications of others, over and over again, until the repository is gone.
async fn hear(store: Weak<Store>, heard: broadcast::Sender<Notification>, own: String) {
    let mut pause = RECONNECT.0;
    loop {
        let connected = match store.upgrade() {
            Some(store) => store.connections.connector.listen(CHANNEL).await,
            None => return,
        };
        match connected {
            Ok(mut listening) => {
                pause = RECONNECT.0;
                // Nobody has heard what was reported until now.
                let _ = heard.send(Notification::Missed);
                let ended = attend(&store, &mut listening, &heard, &own).await;
                tracing::debug!(?ended, "notifications are not heard for a moment");
            }
            Err(error) => tracing::debug!(?error, "notifications are not heard"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT.1);
    }
}

/// Passes messages on until the connection is lost or the repository is gone.
async fn attend(
    store: &Weak<Store>,
    listening: &mut Listening,
    heard: &broadcast::Sender<Notification>,
    own: &str,
) -> Result<(), StoreError> {
    loop {
        let message = poll_fn(|context| listening.connection.poll_message(context));
        match tokio::time::timeout(ASK_EVERY, message).await {
            Ok(Some(Ok(AsyncMessage::Notification(message)))) => {
                if let Some(notification) = read(message.payload(), own) {
                    // Nobody may listen at the moment.
                    let _ = heard.send(notification);
                }
            }
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(error.into()),
            Ok(None) => return Err(ServerError::NoAnswer.into()),
            Err(_) if store.strong_count() == 0 => return Ok(()),
            // A cable that was cut says nothing for ever.
            Err(_) => {
                listening
                    .ask(ASK_EVERY, |message| {
                        if let Some(notification) = read(message, own) {
                            let _ = heard.send(notification);
                        }
                    })
                    .await?
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn news_are_read_as_they_were_told_except_one_s_own() {
        let bulletin = Bulletin::new();
        let id = ExecutionId(42);
        for notification in [
            Notification::Work,
            Notification::Drain,
            Notification::StopRequested(id),
            Notification::Started(id),
            Notification::Ended(id),
        ] {
            let message = bulletin.message(&notification).unwrap();
            assert_eq!(read(&message, "another"), Some(notification));
            assert_eq!(read(&message, &bulletin.sender_id), None);
        }
        assert_eq!(bulletin.message(&Notification::Missed), None);
        for noise in ["", "x", "x ended", "x ended y", "x work 1", "x progress 1 2"] {
            assert_eq!(read(noise, "another"), None, "{noise}");
        }
    }
}
