//! Services whose settings differ: none loses a notice of another, and each says what differs.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oxbatch_core::engine::{Event, EventConsumer, LaunchOptions};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::notice::{Notice, NoticeChannel, NoticeKind, NoticeSender, NoticeState};
use oxbatch_core::repository::{Node, PageRequest};
use oxbatch_core::{BoxError, Engine, EngineConfig, Job, JobRegistry, TaskStep};
use oxbatch_storage::SqliteRepository;

use crate::code::until;

/// Channels that take everything.
struct Receiver {
    channels: Vec<NoticeChannel>,
    taken: Mutex<Vec<String>>,
}

impl Receiver {
    fn new(names: &[&str], kinds: &[NoticeKind]) -> Arc<Self> {
        let channel = |name: &&str| NoticeChannel { name: (*name).to_owned(), kinds: kinds.to_vec(), skips_over: None };
        Arc::new(Self { channels: names.iter().map(channel).collect(), taken: Mutex::default() })
    }

    fn taken(&self) -> Vec<String> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        taken.sort();
        taken
    }
}

impl NoticeSender for Receiver {
    fn channels(&self) -> Vec<NoticeChannel> {
        self.channels.clone()
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(notice.channel.clone());
        async { Ok(()) }.boxed()
    }
}

/// The sentences about channels.
#[derive(Debug, Default)]
struct Remarks(Mutex<Vec<String>>);

impl Remarks {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventConsumer for Remarks {
    fn on_event(&self, event: &Event<'_>) {
        let sentence = match event {
            Event::ChannelsDiffer { problem } => (*problem).to_owned(),
            Event::NoticeFailed { problem, .. } => (*problem).to_owned(),
            _ => return,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sentence);
    }
}

async fn service(folder: &Path, node: &str, receiver: &Arc<Receiver>) -> (Engine, Arc<Remarks>) {
    let remarks = Arc::new(Remarks::default());
    let mut config = EngineConfig::new(Node::new(node));
    config.notices = Some(Arc::clone(receiver) as Arc<dyn NoticeSender>);
    config.consumers.push(Arc::clone(&remarks) as Arc<dyn EventConsumer>);
    let job = Job::builder("Fails")
        .step(TaskStep::builder("Only", |_| Err::<(), BoxError>("as it must".into())))
        .build()
        .unwrap();
    let repository = Arc::new(SqliteRepository::open(&folder.join("oxbatch.db")).unwrap());
    (Engine::start(JobRegistry::new([job]).unwrap(), repository, config).await.unwrap(), remarks)
}

async fn fail(engine: &Engine, number: i64) {
    let given = GivenParameters::default().with("number", number.to_string());
    let launched = engine.launch("Fails", given, LaunchOptions::default()).await.unwrap();
    engine.wait(launched.execution.id, std::time::Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_whose_channels_differ_lose_no_notice_and_say_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let (both, mail) = (Receiver::new(&["chat", "mail"], &[NoticeKind::Failed]), Receiver::new(&["mail"], &[]));
    let (first, _) = service(folder.path(), "first", &both).await;
    until(async || first.repository().notice_channels().await.unwrap().len() == 1).await;
    let (second, remarks) = service(folder.path(), "second", &mail).await;
    until(async || !remarks.all().is_empty()).await;
    let said = remarks.all().remove(0);
    assert!(said.contains("node 'first': channel 'mail' is for nothing here, and for failed there"), "{said}");

    fail(&second, 1).await;
    until(async || both.taken().len() + mail.taken().len() == 2).await;
    assert_eq!(both.taken().first().map(String::as_str), Some("chat"), "written by the second, whose settings lack it");

    // The first is gone and may come back: what is written for it waits, and the log of deliveries says for what.
    first.shutdown().await;
    fail(&second, 2).await;
    second.shutdown().await;
    let (third, remarks) = service(folder.path(), "second", &mail).await;
    until(async || remarks.all().iter().any(|said| said.contains("[notices.chat]"))).await;
    let page = PageRequest { before: None, limit: 10 };
    let waiting = third.repository().notices(Some(NoticeState::Pending), page).await.unwrap().notices;
    let [chat] = &waiting[..] else { panic!("{waiting:?}") };
    assert_eq!(chat.channel, "chat");
    until(async || !third.repository().notice_attempts(chat.id).await.unwrap().is_empty()).await;
    let attempts = third.repository().notice_attempts(chat.id).await.unwrap();
    assert!(attempts[0].error.as_deref().unwrap().contains("no service that lives"), "{attempts:?}");
    third.shutdown().await;
}
