//! Cases of access: tokens, sessions and codes that hold for as long as they should, and an audit log that keeps all.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::Backend;
use crate::access::{Credential, CredentialKind, Grant, NewToken, Role, TokenId};
use crate::repository::{JobRepository, NewAuditEntry, NewPass, PageRequest};

fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap()
}

fn new_token(name: &str, role: Role, credential: &Credential) -> NewToken {
    let grant = Grant { role, data: false };
    NewToken { hash: credential.hash(), name: name.to_owned(), grant, time: now(), expire_time: None }
}

async fn create(repository: &dyn JobRepository, name: &str) -> (TokenId, Credential) {
    let credential = Credential::new(CredentialKind::Token).unwrap();
    let id = repository.create_token(new_token(name, Role::Operator, &credential)).await.unwrap();
    (id, credential)
}

fn pass(token_id: TokenId, time: Timestamp, seconds: i64) -> (Credential, NewPass) {
    let credential = Credential::new(CredentialKind::Session).unwrap();
    let expire_time = time + SignedDuration::from_secs(seconds);
    let new = NewPass { hash: credential.hash(), token_id, time, expire_time };
    (credential, new)
}

/// A token is found by the hash of its text alone, with all that was given it, and what is revoked stays in the list.
pub async fn a_token_is_found_by_its_hash_until_it_is_revoked(backend: &dyn Backend) {
    let (one, other) = (backend.open(), backend.open());
    assert!(!one.has_tokens().await.unwrap());
    assert!(one.tokens().await.unwrap().is_empty());
    let credential = Credential::new(CredentialKind::Token).unwrap();
    let expire_time = Some(now() + SignedDuration::from_secs(60));
    let grant = Grant { role: Role::Viewer, data: true };
    let new = NewToken { grant, expire_time, ..new_token("ci", Role::Viewer, &credential) };
    let id = one.create_token(new.clone()).await.unwrap();
    assert!(one.create_token(new.clone()).await.is_err(), "no two tokens share a text");
    let (second, _) = create(one.as_ref(), "ci").await;
    assert!(other.has_tokens().await.unwrap());

    let found = other.token_by_hash(credential.hash()).await.unwrap().unwrap();
    assert_eq!((found.id, found.name.as_str(), found.grant), (id, "ci", grant));
    assert_eq!((found.create_time, found.expire_time), (new.time, new.expire_time));
    assert_eq!((found.revoke_time, found.last_use_time), (None, None));
    assert!(other.token_by_hash(credential.text().to_owned()).await.unwrap().is_none(), "the text is not kept");

    let used = now();
    other.note_token_use(id, used).await.unwrap();
    one.note_token_use(id, used - SignedDuration::from_secs(5)).await.unwrap();
    let found = other.token(id).await.unwrap().unwrap();
    assert_eq!(found.last_use_time, Some(used), "an earlier use does not hide a later one");

    let revoked = now();
    assert!(one.revoke_token(id, revoked).await.unwrap());
    assert!(!other.revoke_token(id, now()).await.unwrap());
    assert!(!other.revoke_token(TokenId(4_711), now()).await.unwrap());
    let all = other.tokens().await.unwrap();
    assert_eq!(all.iter().map(|token| token.id).collect::<Vec<_>>(), [second, id]);
    assert_eq!(all[1].revoke_time, Some(revoked));
    assert!(other.has_tokens().await.unwrap());
}

/// A session stands for its token until it ends, its time is over or the token is revoked.
pub async fn a_session_ends_with_its_token(backend: &dyn Backend) {
    let (one, other) = (backend.open(), backend.open());
    let (token, _) = create(one.as_ref(), "me").await;
    let start = now();
    let (first, new) = pass(token, start, 60);
    one.create_session(new.clone()).await.unwrap();
    let found = other.session_by_hash(first.hash()).await.unwrap().unwrap();
    assert_eq!((found.token.id, found.expire_time), (token, new.expire_time));
    assert!(other.session_by_hash(first.text().to_owned()).await.unwrap().is_none());

    let (second, new) = pass(token, start + SignedDuration::from_secs(60), 60);
    other.create_session(new).await.unwrap();
    assert!(one.session_by_hash(first.hash()).await.unwrap().is_none(), "its time was over");
    one.end_session(second.hash()).await.unwrap();
    assert!(other.session_by_hash(second.hash()).await.unwrap().is_none());

    let (third, new) = pass(token, start, 60);
    one.create_session(new).await.unwrap();
    let (code, new) = pass(token, start, 60);
    one.create_login_code(new).await.unwrap();
    let (bystander, _) = create(one.as_ref(), "another").await;
    let (fourth, new) = pass(bystander, start, 60);
    one.create_session(new).await.unwrap();
    assert!(other.revoke_token(token, now()).await.unwrap());
    assert!(one.session_by_hash(third.hash()).await.unwrap().is_none());
    assert!(one.use_login_code(code.hash(), start).await.unwrap().is_none());
    assert!(one.session_by_hash(fourth.hash()).await.unwrap().is_some());
}

/// A code of a login link is used up by one of its users, within its time.
pub async fn a_login_code_is_used_once(backend: &dyn Backend) {
    let (one, other) = (backend.open(), backend.open());
    let (token, _) = create(one.as_ref(), "me").await;
    let start = now();
    let (code, new) = pass(token, start, 60);
    one.create_login_code(new).await.unwrap();
    let race = (0..8).map(|racer| {
        let repository = if racer % 2 == 0 { &one } else { &other };
        repository.use_login_code(code.hash(), start)
    });
    let used: Vec<_> = join_all(race).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(used.iter().map(|token| token.id).collect::<Vec<_>>(), [token]);

    let (late, new) = pass(token, start, 60);
    one.create_login_code(new).await.unwrap();
    assert!(other.use_login_code(late.hash(), start + SignedDuration::from_secs(60)).await.unwrap().is_none());
    assert!(other.use_login_code(late.text().to_owned(), start).await.unwrap().is_none());
}

/// The audit log keeps each change from before it is made, and its outcome afterwards.
pub async fn the_audit_log_keeps_changes_with_their_outcomes(backend: &dyn Backend) {
    let (one, other) = (backend.open(), backend.open());
    let start = now();
    let new = |second: i64, token: Option<i64>| NewAuditEntry {
        time: start + SignedDuration::from_secs(second),
        token_id: token.map(TokenId),
        who: "ci".to_owned(),
        address: token.map(|_| "192.0.2.7".to_owned()),
        action: "launch_job".to_owned(),
        object: format!("/jobs/{second}"),
    };
    let mut ids = Vec::new();
    for second in 0..5 {
        ids.push(one.begin_audit(new(second, (second > 0).then_some(3))).await.unwrap());
    }
    other.end_audit(ids[1], "202".to_owned()).await.unwrap();
    other.end_audit(ids[1], "500".to_owned()).await.unwrap();
    let first = other.audit(None, PageRequest { before: None, limit: 3 }).await.unwrap();
    assert_eq!(first.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [ids[4], ids[3], ids[2]]);
    let rest = other.audit(None, PageRequest { before: first.next, limit: 3 }).await.unwrap();
    assert_eq!(rest.entries.iter().map(|entry| &entry.entry).collect::<Vec<_>>(), [&new(1, Some(3)), &new(0, None)]);
    let outcomes: Vec<_> = rest.entries.iter().map(|entry| entry.outcome.as_deref()).collect();
    assert_eq!((outcomes, rest.next), (vec![Some("202"), None], None), "an outcome is written once");
    let since = Some(start + SignedDuration::from_secs(3));
    let late = other.audit(since, PageRequest { before: None, limit: 50 }).await.unwrap();
    assert_eq!(late.entries.len(), 2);

    let before = start + SignedDuration::from_secs(4);
    assert_eq!(one.prune_audit(before, 3).await.unwrap(), 3);
    assert_eq!(one.prune_audit(before, 3).await.unwrap(), 1);
    assert_eq!(one.prune_audit(before, 3).await.unwrap(), 0);
    let left = other.audit(None, PageRequest { before: None, limit: 50 }).await.unwrap();
    assert_eq!(left.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [ids[4]]);
}
