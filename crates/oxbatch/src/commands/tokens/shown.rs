//! Tokens as they are shown: everything but their texts, which nobody has any more.

use jiff::Timestamp;
use oxbatch_core::access::{Token, TokenRefusal};
use oxbatch_core::repository::rules::access;
use serde::Serialize;

use crate::table::{Align, Table};

/// A token.
#[derive(Debug, Serialize)]
pub(super) struct TokenView {
    id: i64,
    name: String,
    role: &'static str,
    data: bool,
    state: &'static str,
    create_time: Timestamp,
    expire_time: Option<Timestamp>,
    revoke_time: Option<Timestamp>,
    last_use_time: Option<Timestamp>,
}

impl TokenView {
    /// The token as it stands.
    pub(super) fn new(token: &Token, now: Timestamp) -> Self {
        let state = match access::check_token(token, now) {
            Ok(()) => "good",
            Err(TokenRefusal::Revoked { .. }) => "revoked",
            Err(_) => "expired",
        };
        Self {
            id: token.id.0,
            name: token.name.clone(),
            role: token.grant.role.as_str(),
            data: token.grant.data,
            state,
            create_time: token.create_time,
            expire_time: token.expire_time,
            revoke_time: token.revoke_time,
            last_use_time: token.last_use_time,
        }
    }
}

/// Tokens as a table.
pub(super) fn table(tokens: &[TokenView]) -> Table {
    let left = |name| (name, Align::Left);
    let mut table = Table::new([
        ("ID", Align::Right),
        left("NAME"),
        left("ROLE"),
        left("DATA"),
        left("STATE"),
        left("CREATED"),
        left("EXPIRES"),
        left("LAST USED"),
    ]);
    let time =
        |time: Option<Timestamp>, without: &str| time.map_or_else(|| without.to_owned(), |time| time.to_string());
    for token in tokens {
        table.row([
            token.id.to_string(),
            token.name.clone(),
            token.role.to_owned(),
            if token.data { "yes" } else { "" }.to_owned(),
            token.state.to_owned(),
            token.create_time.to_string(),
            time(token.expire_time, "never"),
            time(token.last_use_time, ""),
        ]);
    }
    table
}
