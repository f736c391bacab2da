//! The contracts of tokens, sessions and the audit log on SQLite.

use jiff::Timestamp;
use oxbatch_core::access::{NewToken, Session, Token, TokenId};
use oxbatch_core::repository::{
    Audit, AuditId, AuditPage, NewAuditEntry, NewPass, PageRequest, RepositoryFuture, Sessions, Tokens,
};

use super::SqliteRepository;
use super::shared::done;
use crate::shared::{access, audit};

impl Tokens for SqliteRepository {
    fn has_tokens(&self) -> RepositoryFuture<'_, bool> {
        self.ask_shared("look for tokens", |connection| done(access::has_tokens(connection)))
    }

    fn create_token(&self, token: NewToken) -> RepositoryFuture<'_, TokenId> {
        self.write_shared("create a token", move |connection| done(access::create_token(connection, &token)))
    }

    fn tokens(&self) -> RepositoryFuture<'_, Vec<Token>> {
        self.ask_shared("list tokens", |connection| done(access::tokens(connection)))
    }

    fn revoke_token(&self, id: TokenId, time: Timestamp) -> RepositoryFuture<'_, bool> {
        self.write_shared("revoke a token", move |connection| done(access::revoke_token(connection, id, time)))
    }

    fn token(&self, id: TokenId) -> RepositoryFuture<'_, Option<Token>> {
        self.ask_shared("read a token", move |connection| done(access::token_of(connection, id)))
    }

    fn token_by_hash(&self, hash: String) -> RepositoryFuture<'_, Option<Token>> {
        self.ask_shared("find a token", move |connection| done(access::token_by_hash(connection, &hash)))
    }

    fn note_token_use(&self, id: TokenId, time: Timestamp) -> RepositoryFuture<'_, ()> {
        self.write_shared("note a token's use", move |connection| done(access::note_token_use(connection, id, time)))
    }
}

impl Sessions for SqliteRepository {
    fn create_login_code(&self, code: NewPass) -> RepositoryFuture<'_, ()> {
        self.write_shared("create a login code", move |connection| done(access::create_login_code(connection, &code)))
    }

    fn use_login_code(&self, hash: String, time: Timestamp) -> RepositoryFuture<'_, Option<Token>> {
        self.write_shared("use a login code", move |connection| done(access::use_login_code(connection, &hash, time)))
    }

    fn create_session(&self, session: NewPass) -> RepositoryFuture<'_, ()> {
        self.write_shared("create a session", move |connection| done(access::create_session(connection, &session)))
    }

    fn session_by_hash(&self, hash: String) -> RepositoryFuture<'_, Option<Session>> {
        self.ask_shared("find a session", move |connection| done(access::session_by_hash(connection, &hash)))
    }

    fn end_session(&self, hash: String) -> RepositoryFuture<'_, ()> {
        self.write_shared("end a session", move |connection| done(access::end_session(connection, &hash)))
    }
}

impl Audit for SqliteRepository {
    fn begin_audit(&self, entry: NewAuditEntry) -> RepositoryFuture<'_, AuditId> {
        self.write_shared("write the audit log", move |connection| done(audit::begin(connection, &entry)))
    }

    fn end_audit(&self, id: AuditId, outcome: String) -> RepositoryFuture<'_, ()> {
        self.write_shared("complete the audit log", move |connection| done(audit::end(connection, id, &outcome)))
    }

    fn audit(&self, since: Option<Timestamp>, page: PageRequest) -> RepositoryFuture<'_, AuditPage> {
        self.ask_shared("read the audit log", move |connection| done(audit::page(connection, since, page)))
    }

    fn prune_audit(&self, before: Timestamp, limit: u32) -> RepositoryFuture<'_, u64> {
        self.write_shared("shorten the audit log", move |connection| done(audit::prune(connection, before, limit)))
    }
}
