//! News by LISTEN and NOTIFY: hints that shorten waits, sent and heard beside the work, and never relied on.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::poll_fn;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::News;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use super::Store;
use super::connect::Listening;
use super::error::Fault;

/// The channel of all nodes of a database.
const CHANNEL: &str = "oxbatch";
/// News that wait to be sent; further ones are left out.
const OUTBOX: usize = 1024;
/// News that wait for who listens here; one who is slower is told that some were missed.
const HEARD: usize = 1024;
/// How long a command may be held up by telling what it has asked for.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Pause between two batches: what comes meanwhile goes out together.
const BATCH_PAUSE: Duration = Duration::from_millis(10);
/// Most news of a batch.
const BATCH: usize = 256;
/// A connection that says nothing for so long is asked whether it lives, and has as long to answer.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// First and longest pause before a lost connection is made again.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Tells them in one statement, whose commit waits for no disk: a hint that is lost in a crash is no loss.
const TELL: &str = "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
     SELECT pg_notify($1, message) FROM quick, unnest($2::text[]) AS message";

/// The news of a repository: what it tells, and what it hears of others.
pub(super) struct Bulletin {
    /// Marks one's own messages, which are not heard again.
    sender_id: String,
    outbox: mpsc::Sender<News>,
    heard: broadcast::Sender<News>,
    /// The parts that start when they are first needed.
    runtime: Handle,
    unsent: std::sync::Mutex<Option<mpsc::Receiver<News>>>,
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

    /// Hears what others tell; the connection for it is made by the first who listens.
    pub(super) fn listen(&self, store: &Arc<Store>) -> broadcast::Receiver<News> {
        let receiver = self.heard.subscribe();
        self.listening.call_once(|| {
            self.runtime.spawn(hear(Arc::downgrade(store), self.heard.clone(), self.sender_id.clone()));
        });
        receiver
    }

    /// Tells others, soon and without a wait.
    pub(super) fn tell(&self, store: &Arc<Store>, news: News) {
        let unsent = self.unsent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(unsent) = unsent {
            self.runtime.spawn(send(Arc::downgrade(store), unsent));
        }
        // A full box means that much is told anyway; who listens looks by itself.
        let _ = self.outbox.try_send(news);
    }

    /// Tells others, and has done so when it returns, unless that takes too long.
    pub(super) async fn tell_at_once(&self, store: &Store, news: News) {
        let messages: Vec<_> = self.message(&news).into_iter().collect();
        if !matches!(tokio::time::timeout(AT_ONCE, post(store, &messages)).await, Ok(Ok(()))) {
            tracing::debug!(?news, "news were not told");
        }
    }

    fn message(&self, news: &News) -> Option<String> {
        let (word, id) = match news {
            News::Work => ("work", None),
            News::StopRequested(id) => ("stop", Some(id)),
            News::Started(id) => ("started", Some(id)),
            News::Ended(id) => ("ended", Some(id)),
            News::Drain => ("drain", None),
            News::Missed => return None,
        };
        let sender = &self.sender_id;
        Some(id.map_or_else(|| format!("{sender} {word}"), |id| format!("{sender} {word} {id}")))
    }
}

/// Reads a message of somebody else's.
fn read(message: &str, own: &str) -> Option<News> {
    let (sender, rest) = message.split_once(' ')?;
    let (word, id) = rest.split_once(' ').map_or((rest, None), |(word, id)| (word, Some(id)));
    let id = id.and_then(|id| id.parse().ok()).map(ExecutionId);
    match (word, id) {
        _ if sender == own => None,
        ("work", None) => Some(News::Work),
        ("drain", None) => Some(News::Drain),
        ("stop", Some(id)) => Some(News::StopRequested(id)),
        ("started", Some(id)) => Some(News::Started(id)),
        ("ended", Some(id)) => Some(News::Ended(id)),
        // A newer version may tell more.
        _ => None,
    }
}

/// Sends what was told, in batches, until the repository is gone.
async fn send(store: Weak<Store>, mut unsent: mpsc::Receiver<News>) {
    let mut batch = Vec::new();
    while unsent.recv_many(&mut batch, BATCH).await > 0 {
        let Some(store) = store.upgrade() else { return };
        let mut messages: Vec<_> = batch.drain(..).filter_map(|news| store.bulletin.message(&news)).collect();
        messages.dedup();
        if let Err(error) = post(&store, &messages).await {
            tracing::debug!(?error, "news were not told");
        }
        drop(store);
        tokio::time::sleep(BATCH_PAUSE).await;
    }
}

async fn post(store: &Store, messages: &[String]) -> Result<(), Fault> {
    let session = store.connections.session().await?;
    session.query(TELL, &[&CHANNEL, &messages]).await.map(drop)
}

/// Hears what others tell, over and over again, until the repository is gone.
async fn hear(store: Weak<Store>, heard: broadcast::Sender<News>, own: String) {
    let mut pause = RECONNECT.0;
    loop {
        let connected = match store.upgrade() {
            Some(store) => store.connections.connector.listen(CHANNEL).await,
            None => return,
        };
        match connected {
            Ok(mut listening) => {
                pause = RECONNECT.0;
                // Nobody has heard what was told until now.
                let _ = heard.send(News::Missed);
                let ended = attend(&store, &mut listening, &heard, &own).await;
                tracing::debug!(?ended, "news are not heard for a moment");
            }
            Err(error) => tracing::debug!(?error, "news are not heard"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT.1);
    }
}

/// Passes messages on until the connection is lost or the repository is gone.
async fn attend(
    store: &Weak<Store>,
    listening: &mut Listening,
    heard: &broadcast::Sender<News>,
    own: &str,
) -> Result<(), Fault> {
    loop {
        let message = poll_fn(|context| listening.connection.poll_message(context));
        match tokio::time::timeout(ASK_EVERY, message).await {
            Ok(Some(Ok(AsyncMessage::Notification(message)))) => {
                if let Some(news) = read(message.payload(), own) {
                    // Nobody may listen at the moment.
                    let _ = heard.send(news);
                }
            }
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(error.into()),
            Ok(None) => return Err(Fault::NoAnswer),
            Err(_) if store.strong_count() == 0 => return Ok(()),
            // A cable that was cut says nothing for ever.
            Err(_) => {
                listening
                    .ask(ASK_EVERY, |message| {
                        if let Some(news) = read(message, own) {
                            let _ = heard.send(news);
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
        for news in [News::Work, News::Drain, News::StopRequested(id), News::Started(id), News::Ended(id)] {
            let message = bulletin.message(&news).unwrap();
            assert_eq!(read(&message, "another"), Some(news));
            assert_eq!(read(&message, &bulletin.sender_id), None);
        }
        assert_eq!(bulletin.message(&News::Missed), None);
        for noise in ["", "x", "x ended", "x ended y", "x work 1", "x progress 1 2"] {
            assert_eq!(read(noise, "another"), None, "{noise}");
        }
    }
}
