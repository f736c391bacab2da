//! Trials of the channels of notices.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oxbatch_core::notice::{Notice, NoticeChannel, NoticeKind, NoticeSender};

use crate::harness::{Service, Settings};

/// One channel that takes trials, and one that takes nothing.
pub(crate) struct Channels;

impl NoticeSender for Channels {
    fn channels(&self) -> Vec<NoticeChannel> {
        let channel = |name: &str| NoticeChannel { name: name.to_owned(), kinds: Vec::new(), skips_over: Some(5) };
        vec![channel("mail"), channel("broken")]
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
        let takes = notice.channel == "mail" && notice.kind == NoticeKind::Test;
        async move { if takes { Ok(()) } else { Err("an answer of 500".to_owned()) } }.boxed()
    }
}

#[tokio::test]
async fn a_channel_of_the_service_is_tried_and_the_answer_says_whether_it_has_taken_it() {
    let service = Service::with(Settings { notices: Some(Arc::new(Channels)), ..Settings::default() }).await;
    let taken = service.post("/notices/test/mail").await.json();
    assert_eq!(taken, serde_json::json!({"channel": "mail", "taken": true, "problem": null}));
    let refused = service.post("/notices/test/broken").await.json();
    assert_eq!(refused, serde_json::json!({"channel": "broken", "taken": false, "problem": "an answer of 500"}));
    let unknown = service.post("/notices/test/chat").await.problem(404);
    assert_eq!(unknown, "this service has no channel 'chat'; its channels are mail, broken");
    assert_eq!(service.get("/notices").await.json(), serde_json::json!([]), "a trial is no notice");

    let without = Service::start().await;
    let unknown = without.post("/notices/test/mail").await.problem(404);
    assert_eq!(unknown, "the settings of this service have no channel of notices");
}
