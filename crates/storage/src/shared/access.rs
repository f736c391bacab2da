//! Tokens, and the sessions and one-time codes that stand for them, by the hashes of their texts.

use jiff::Timestamp;
use oxbatch_core::access::{Grant, NewToken, Session, Token, TokenId};
use oxbatch_core::repository::{NewPass, RepositoryError};

use super::{Database, OwnedRow, values};
use crate::error::StoreError;

/// Tokens in a list.
const MOST: i64 = 500;

/// The columns of a token in the order in which `token` reads them.
macro_rules! token_columns {
    () => {
        "token.id, token.name, token.role, token.sees_data, token.create_time, token.expire_time, token.revoke_time,
             token.last_use_time"
    };
}

pub(crate) async fn has_tokens<D: Database>(database: &D) -> Result<bool, StoreError<D::Error>> {
    let row = database.optional("SELECT id FROM oxbatch_token ORDER BY id LIMIT 1", &[]).await?;
    Ok(row.is_some())
}

pub(crate) async fn create_token<D: Database>(database: &D, new: &NewToken) -> Result<TokenId, StoreError<D::Error>> {
    const CREATE: &str = "INSERT INTO oxbatch_token (hash, name, role, sees_data, create_time, expire_time)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let role = new.grant.role.as_str();
    let row = values![&new.hash, &new.name, role, new.grant.data, new.time, new.expire_time];
    let created = database.optional(CREATE, &row).await?.unwrap_or(OwnedRow(Vec::new()));
    Ok(TokenId(created.number(0)?))
}

pub(crate) async fn tokens<D: Database>(database: &D) -> Result<Vec<Token>, StoreError<D::Error>> {
    const ALL: &str =
        concat!("SELECT ", token_columns!(), " FROM oxbatch_token AS token ORDER BY token.id DESC LIMIT $1");
    let rows = database.query(ALL, &values![MOST]).await?;
    Ok(rows.iter().map(token).collect::<Result<_, _>>()?)
}

pub(crate) async fn revoke_token<D: Database>(
    database: &D,
    id: TokenId,
    time: Timestamp,
) -> Result<bool, StoreError<D::Error>> {
    const REVOKE: &str = "UPDATE oxbatch_token SET revoke_time = $1 WHERE id = $2 AND revoke_time IS NULL";
    let revoked = database.execute(REVOKE, &values![time, id.0]).await? == 1;
    if revoked {
        database.execute("DELETE FROM oxbatch_session WHERE token_id = $1", &values![id.0]).await?;
        database.execute("DELETE FROM oxbatch_login_code WHERE token_id = $1", &values![id.0]).await?;
    }
    Ok(revoked)
}

pub(crate) async fn token_of<D: Database>(database: &D, id: TokenId) -> Result<Option<Token>, StoreError<D::Error>> {
    const BY_ID: &str = concat!("SELECT ", token_columns!(), " FROM oxbatch_token AS token WHERE token.id = $1");
    let row = database.optional(BY_ID, &values![id.0]).await?;
    Ok(row.as_ref().map(token).transpose()?)
}

pub(crate) async fn token_by_hash<D: Database>(
    database: &D,
    hash: &str,
) -> Result<Option<Token>, StoreError<D::Error>> {
    const BY_HASH: &str = concat!("SELECT ", token_columns!(), " FROM oxbatch_token AS token WHERE token.hash = $1");
    let row = database.optional(BY_HASH, &values![hash]).await?;
    Ok(row.as_ref().map(token).transpose()?)
}

pub(crate) async fn note_token_use<D: Database>(
    database: &D,
    id: TokenId,
    time: Timestamp,
) -> Result<(), StoreError<D::Error>> {
    const NOTE: &str = "UPDATE oxbatch_token SET last_use_time = $1
         WHERE id = $2 AND (last_use_time IS NULL OR last_use_time < $1)";
    database.execute(NOTE, &values![time, id.0]).await?;
    Ok(())
}

pub(crate) async fn create_login_code<D: Database>(database: &D, code: &NewPass) -> Result<(), StoreError<D::Error>> {
    const CREATE: &str = "INSERT INTO oxbatch_login_code (hash, token_id, expire_time) VALUES ($1, $2, $3)";
    database.execute("DELETE FROM oxbatch_login_code WHERE expire_time <= $1", &values![code.time]).await?;
    database.execute(CREATE, &values![&code.hash, code.token_id.0, code.expire_time]).await?;
    Ok(())
}

pub(crate) async fn use_login_code<D: Database>(
    database: &D,
    hash: &str,
    time: Timestamp,
) -> Result<Option<Token>, StoreError<D::Error>> {
    const USE: &str = "DELETE FROM oxbatch_login_code WHERE hash = $1 AND expire_time > $2 RETURNING token_id";
    let Some(used) = database.optional(USE, &values![hash, time]).await? else { return Ok(None) };
    token_of(database, TokenId(used.number(0)?)).await
}

pub(crate) async fn create_session<D: Database>(database: &D, session: &NewPass) -> Result<(), StoreError<D::Error>> {
    const CREATE: &str =
        "INSERT INTO oxbatch_session (hash, token_id, create_time, expire_time) VALUES ($1, $2, $3, $4)";
    database.execute("DELETE FROM oxbatch_session WHERE expire_time <= $1", &values![session.time]).await?;
    let row = values![&session.hash, session.token_id.0, session.time, session.expire_time];
    database.execute(CREATE, &row).await?;
    Ok(())
}

pub(crate) async fn session_by_hash<D: Database>(
    database: &D,
    hash: &str,
) -> Result<Option<Session>, StoreError<D::Error>> {
    const BY_HASH: &str = concat!(
        "SELECT ",
        token_columns!(),
        ", session.expire_time FROM oxbatch_session AS session
         JOIN oxbatch_token AS token ON token.id = session.token_id WHERE session.hash = $1"
    );
    let Some(row) = database.optional(BY_HASH, &values![hash]).await? else { return Ok(None) };
    Ok(Some(Session { token: token(&row)?, expire_time: row.time(8)? }))
}

pub(crate) async fn end_session<D: Database>(database: &D, hash: &str) -> Result<(), StoreError<D::Error>> {
    database.execute("DELETE FROM oxbatch_session WHERE hash = $1", &values![hash]).await?;
    Ok(())
}

fn token(row: &OwnedRow) -> Result<Token, RepositoryError> {
    Ok(Token {
        id: TokenId(row.number(0)?),
        name: row.text(1)?.to_owned(),
        grant: Grant { role: row.word(2)?, data: row.flag(3)? },
        create_time: row.time(4)?,
        expire_time: row.optional_time(5)?,
        revoke_time: row.optional_time(6)?,
        last_use_time: row.optional_time(7)?,
    })
}
