//! The contracts of tokens, sessions and the audit log on PostgreSQL.

use futures_util::FutureExt;
use jiff::Timestamp;
use oxbatch_core::access::{NewToken, Session, Token, TokenId};
use oxbatch_core::repository::{
    Audit, AuditId, AuditPage, NewAuditEntry, NewPass, PageRequest, RepositoryFuture, Sessions, Tokens,
};

use super::PostgresRepository;
use crate::shared::{access, audit};

impl Tokens for PostgresRepository {
    fn has_tokens(&self) -> RepositoryFuture<'_, bool> {
        self.read("look for tokens", (), |session, ()| access::has_tokens(session).boxed()).boxed()
    }

    fn create_token(&self, token: NewToken) -> RepositoryFuture<'_, TokenId> {
        self.write("create a token", token, |session, token| access::create_token(session, token).boxed()).boxed()
    }

    fn tokens(&self) -> RepositoryFuture<'_, Vec<Token>> {
        self.read("list tokens", (), |session, ()| access::tokens(session).boxed()).boxed()
    }

    fn revoke_token(&self, id: TokenId, time: Timestamp) -> RepositoryFuture<'_, bool> {
        self.write("revoke a token", (id, time), |session, (id, time)| {
            access::revoke_token(session, *id, *time).boxed()
        })
        .boxed()
    }

    fn token(&self, id: TokenId) -> RepositoryFuture<'_, Option<Token>> {
        self.read("read a token", id, |session, id| access::token_of(session, *id).boxed()).boxed()
    }

    fn token_by_hash(&self, hash: String) -> RepositoryFuture<'_, Option<Token>> {
        self.read("find a token", hash, |session, hash| access::token_by_hash(session, hash).boxed()).boxed()
    }

    fn note_token_use(&self, id: TokenId, time: Timestamp) -> RepositoryFuture<'_, ()> {
        self.write("note a token's use", (id, time), |session, (id, time)| {
            access::note_token_use(session, *id, *time).boxed()
        })
        .boxed()
    }
}

impl Sessions for PostgresRepository {
    fn create_login_code(&self, code: NewPass) -> RepositoryFuture<'_, ()> {
        self.write("create a login code", code, |session, code| access::create_login_code(session, code).boxed())
            .boxed()
    }

    fn use_login_code(&self, hash: String, time: Timestamp) -> RepositoryFuture<'_, Option<Token>> {
        self.write("use a login code", (hash, time), |session, (hash, time)| {
            access::use_login_code(session, hash, *time).boxed()
        })
        .boxed()
    }

    fn create_session(&self, session: NewPass) -> RepositoryFuture<'_, ()> {
        self.write("create a session", session, |session, new| access::create_session(session, new).boxed()).boxed()
    }

    fn session_by_hash(&self, hash: String) -> RepositoryFuture<'_, Option<Session>> {
        self.read("find a session", hash, |session, hash| access::session_by_hash(session, hash).boxed()).boxed()
    }

    fn end_session(&self, hash: String) -> RepositoryFuture<'_, ()> {
        self.write("end a session", hash, |session, hash| access::end_session(session, hash).boxed()).boxed()
    }
}

impl Audit for PostgresRepository {
    fn begin_audit(&self, entry: NewAuditEntry) -> RepositoryFuture<'_, AuditId> {
        self.write("write the audit log", entry, |session, entry| audit::begin(session, entry).boxed()).boxed()
    }

    fn end_audit(&self, id: AuditId, outcome: String) -> RepositoryFuture<'_, ()> {
        self.write("complete the audit log", (id, outcome), |session, (id, outcome)| {
            audit::end(session, *id, outcome).boxed()
        })
        .boxed()
    }

    fn audit(&self, since: Option<Timestamp>, page: PageRequest) -> RepositoryFuture<'_, AuditPage> {
        self.read("read the audit log", (since, page), |session, (since, page)| {
            audit::page(session, *since, *page).boxed()
        })
        .boxed()
    }

    fn prune_audit(&self, before: Timestamp, limit: u32) -> RepositoryFuture<'_, u64> {
        self.write("shorten the audit log", (before, limit), |session, (before, limit)| {
            audit::prune(session, *before, *limit).boxed()
        })
        .boxed()
    }
}
