//! Cases of notices: written with their cause, taken by one, delivered or given up.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::Backend;
use super::fixture::{LONG, Process};
use crate::execution::StatusEvent;
use crate::notice::{Notice, NoticeAttempt, NoticeChannel, NoticeKind, NoticeState};
use crate::repository::{AttemptEnd, Missing, PageRequest, RepositoryError, ServiceChannels};

fn channel(name: &str, kinds: &[NoticeKind], skips_over: Option<u32>) -> NoticeChannel {
    NoticeChannel { name: name.to_owned(), kinds: kinds.to_vec(), skips_over }
}

fn of(process: &Process, channels: Vec<NoticeChannel>) -> ServiceChannels {
    ServiceChannels { node: process.node.clone(), confirm_time: Timestamp::UNIX_EPOCH, channels }
}

async fn set(process: &Process, channels: Vec<NoticeChannel>) {
    process.repository.set_notice_channels(of(process, channels), Vec::new()).await.unwrap();
}

async fn all(process: &Process) -> Vec<Notice> {
    let page = PageRequest { before: None, limit: 500 };
    process.repository.notices(None, page).await.unwrap().notices.into_iter().rev().collect()
}

async fn claim(process: &Process, time: Timestamp) -> Vec<Notice> {
    let channels = vec!["ops".to_owned(), "other".to_owned()];
    process.repository.claim_notices(channels, time, Duration::from_secs(60), 10).await.unwrap()
}

async fn ended(process: &Process, key: i64, event: StatusEvent) {
    let lease = process.run(key, LONG).await;
    process.end(&lease, event).await;
}

/// The end of an execution tells those who want it, in its own transaction; nobody else, and not of what goes on.
pub async fn the_end_of_an_execution_tells_those_who_want_it(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    ended(&process, 1, StatusEvent::Fail).await;
    assert!(all(&process).await.is_empty(), "there is nobody to be told");
    set(
        &process,
        vec![
            channel("ops", &[NoticeKind::Failed, NoticeKind::Recovered], None),
            channel("late", &[NoticeKind::Late], None),
            channel("skips", &[], Some(0)),
        ],
    )
    .await;
    ended(&process, 2, StatusEvent::Fail).await;
    ended(&process, 3, StatusEvent::Complete).await;
    ended(&process, 4, StatusEvent::Complete).await;
    ended(&process, 5, StatusEvent::Stop).await;
    let told = all(&process).await;
    let kinds: Vec<_> = told.iter().map(|notice| (notice.channel.as_str(), notice.kind)).collect();
    assert_eq!(kinds, [("ops", NoticeKind::Failed), ("ops", NoticeKind::Recovered)]);
    assert!(told[0].message.contains("has failed") && told[0].state == NoticeState::Pending);
    assert!(told[0].execution_id < told[1].execution_id);

    // What another execution goes on with is no failure yet.
    let dead = Process::start(backend).await;
    dead.run(6, Duration::ZERO).await;
    assert_eq!(process.recover().await.len(), 1);
    assert_eq!(all(&process).await.len(), 2);
    let page = process.repository.notices(Some(NoticeState::Delivered), PageRequest { before: None, limit: 5 }).await;
    assert!(page.unwrap().notices.is_empty());
    set(&process, Vec::new()).await;
    ended(&process, 7, StatusEvent::Fail).await;
    assert_eq!(all(&process).await.len(), 2, "nobody is told any more");
}

/// Each service has channels of its own: none overwrites those of another, and a notice is written once to each.
pub async fn services_with_other_channels_overwrite_each_other_in_nothing(backend: &dyn Backend) {
    let processes = [Process::start(backend).await, Process::start(backend).await];
    let [one, other] = &processes;
    assert!(one.repository.notice_channels().await.unwrap().is_empty());
    let mail = channel("mail", &[NoticeKind::Failed, NoticeKind::Recovered], Some(7));
    set(one, vec![channel("chat", &[NoticeKind::Failed], None), mail.clone()]).await;
    set(other, vec![channel("mail", &[NoticeKind::Failed], None)]).await;
    let stored = one.repository.notice_channels().await.unwrap();
    let of_one = stored.iter().find(|service| service.node == one.node).unwrap();
    assert_eq!(*of_one, of(one, vec![channel("chat", &[NoticeKind::Failed], None), mail]));
    assert_eq!(stored.len(), 2);

    ended(one, 1, StatusEvent::Fail).await;
    let wanted = async || {
        let mut names: Vec<_> = all(one).await.into_iter().map(|notice| notice.channel).collect();
        names.sort();
        names
    };
    assert_eq!(wanted().await, ["chat", "mail"], "once for both services");
    let time = all(one).await[0].create_time;
    assert_eq!(one.repository.due_channels(time).await.unwrap(), ["chat", "mail"]);
    let before = time - SignedDuration::from_secs(1);
    assert!(one.repository.due_channels(before).await.unwrap().is_empty());

    // The other one forgets those of the first, which is gone.
    let gone = vec![one.node.boot_id];
    other.repository.set_notice_channels(of(other, vec![channel("mail", &[], Some(0))]), gone).await.unwrap();
    ended(other, 2, StatusEvent::Fail).await;
    assert_eq!(wanted().await, ["chat", "mail"], "what was written waits, and nothing more is");
    assert_eq!(other.repository.notice_channels().await.unwrap().len(), 1);
}

/// Of many nodes one takes a notice; one that dies with it leaves it to others, and it is given up in the end.
pub async fn a_notice_is_taken_by_one_and_tried_again_until_it_is_delivered(backend: &dyn Backend) {
    let processes = [Process::start(backend).await, Process::start(backend).await];
    let process = &processes[0];
    set(process, vec![channel("ops", &[NoticeKind::Failed], None), channel("away", &[NoticeKind::Failed], None)]).await;
    ended(process, 1, StatusEvent::Fail).await;
    let created = all(process).await[0].create_time;
    let later = |seconds: i64| created + SignedDuration::from_secs(seconds);
    assert_eq!(process.repository.agenda().await.unwrap().next_notice, Some(created));
    assert!(claim(process, later(-1)).await.is_empty());
    let race = (0..8).map(|racer| claim(&processes[racer % 2], later(1)));
    let taken: Vec<Notice> = join_all(race).await.into_iter().flatten().collect();
    let [notice] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((notice.channel.as_str(), notice.attempts), ("ops", 1));
    assert!(claim(process, later(60)).await.is_empty(), "its node may still deliver it");
    assert!(process.repository.notice_attempts(notice.id).await.unwrap().is_empty(), "none has ended");
    let again = claim(&processes[1], later(62)).await.remove(0);
    assert_eq!((again.id, again.attempts), (notice.id, 2), "its node has died");

    let end = |error: Option<&str>, next_attempt| AttemptEnd {
        notice_id: notice.id,
        attempt: NoticeAttempt { time: later(63), node: "node".to_owned(), error: error.map(str::to_owned) },
        next_attempt,
    };
    process.repository.end_attempt(end(Some("500"), Some(later(70)))).await.unwrap();
    assert!(claim(process, later(69)).await.is_empty());
    assert_eq!(claim(process, later(70)).await.len(), 1);
    process.repository.end_attempt(end(None, None)).await.unwrap();
    // One that was given up and is delivered after all, or the other way round, stays as it was first.
    process.repository.end_attempt(end(Some("500"), Some(later(80)))).await.unwrap();
    assert!(claim(process, later(1_000)).await.is_empty());
    let states: Vec<_> = all(process).await.iter().map(|notice| notice.state).collect();
    assert_eq!(states.iter().filter(|state| **state == NoticeState::Delivered).count(), 1);
    let attempts = process.repository.notice_attempts(notice.id).await.unwrap();
    let errors: Vec<_> = attempts.iter().map(|attempt| attempt.error.as_deref()).collect();
    assert_eq!(errors, [Some("500"), None, Some("500")]);

    let other = all(process).await.into_iter().find(|notice| notice.channel == "away").unwrap();
    let gives_up = AttemptEnd { notice_id: other.id, ..end(Some("gone"), None) };
    process.repository.end_attempt(gives_up).await.unwrap();
    let undelivered =
        process.repository.notices(Some(NoticeState::Undelivered), PageRequest { before: None, limit: 5 });
    assert_eq!(undelivered.await.unwrap().notices[0].id, other.id);
    assert_eq!(process.repository.agenda().await.unwrap().next_notice, None);
    assert_eq!(process.repository.prune_fires(later(-1), 10).await.unwrap(), 0);
    assert_eq!(process.repository.prune_fires(later(1), 10).await.unwrap(), 2);
    assert!(all(process).await.is_empty());
    let gone = process.repository.notice_attempts(notice.id).await.unwrap_err();
    assert!(matches!(gone, RepositoryError::NotFound { what: Missing::Notice, .. }), "{gone}");
}
