//! The checks at the start of what stands between the repository and its tables: a pooler, and bounds of connections.

use std::time::Duration;

use oxbatch_core::repository::RepositoryError;
use tokio_postgres::error::SqlState;

use super::connect::unusable;
use super::error::StoreError;
use super::pool::Connections;
use super::session::Session;
use super::settings::PostgresSettings;

/// Attempts to see the server process change under a connection. A pooler hands the process that was used last to the
/// next one who asks; one that takes them in turn shows it with the second question.
const ATTEMPTS: u32 = 3;
/// The time that the answer of a pooler with a single connection to the server is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// The connection that listens, besides those that the settings bound.
const LISTENING: i64 = 1;

/// Refuses a pooler that hands connections on after each transaction, and a role, database or server that allows too
/// few.
///
/// # Errors
/// [`RepositoryError::Unusable`] with one sentence.
pub(super) async fn check(
    connections: &Connections,
    session: &Session,
    settings: &PostgresSettings,
) -> Result<(), RepositoryError> {
    let refuse = |problem: String| RepositoryError::Unusable { problem, source: None };
    let address = settings.address();
    let unusable = |error| unusable(settings, error);
    if changes_process(connections, session).await.map_err(unusable)? {
        return Err(refuse(format!(
            "{address} is a pooler that hands connections on after each transaction (PgBouncer: pool_mode); use pool_mode = \
             session, or name the PostgreSQL server itself"
        )));
    }
    let wanted = i64::try_from(settings.connections).unwrap_or(i64::MAX) + LISTENING;
    match allowed(session).await.map_err(unusable)? {
        Some((of, allowed)) if allowed < wanted => Err(refuse(format!(
            "the {of} of {address} allows {allowed} connections, but this process needs up to {wanted} (database.connections \
             and one that listens), and each PostgresReader one more; raise the limit, or lower database.connections"
        ))),
        _ => Ok(()),
    }
}

/// Returns whether the server process changes under a connection while another connection is in a transaction.
async fn changes_process(connections: &Connections, session: &Session) -> Result<bool, StoreError> {
    const PROCESS: &str = "SELECT pg_backend_pid()";
    let own = session.text(PROCESS).await?;
    let mut other = connections.session().await?;
    other.enter_transaction();
    match other.batch("BEGIN; SELECT pg_backend_pid()").await {
        Err(error) if error.of_server().and_then(|server| server.code()) == Some(&SqlState::PROTOCOL_VIOLATION) => {
            return Ok(true);
        }
        begun => begun?,
    }
    let mut changed = false;
    for _ in 0..ATTEMPTS {
        match tokio::time::timeout(PATIENCE, session.text(PROCESS)).await {
            Ok(process) => changed |= process? != own,
            // The one connection of the pooler is in the other's hand.
            Err(_) => changed = true,
        }
        if changed {
            break;
        }
    }
    other.roll_back().await;
    Ok(changed)
}

/// The least of the bounds, and whose it is; `None` where there is none. A superuser has none of its own.
async fn allowed(session: &Session) -> Result<Option<(&'static str, i64)>, StoreError> {
    let row = session
        .one(
            "SELECT (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user AND NOT rolsuper)::bigint,
                 (SELECT datconnlimit FROM pg_database WHERE datname = current_database())::bigint,
                 (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
                 current_setting('max_connections')::bigint
                     - current_setting('superuser_reserved_connections')::bigint",
            &[],
        )
        .await?;
    let (role, database): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let is_superuser = row.try_get::<_, Option<bool>>(2)?.unwrap_or(false);
    let bounds = [
        ("role", role.filter(|_| !is_superuser)),
        ("database", database.filter(|_| !is_superuser)),
        ("server", Some(row.try_get(3)?)),
    ];
    let bounds = bounds.into_iter().filter_map(|(of, bound)| Some((of, bound.filter(|bound| *bound >= 0)?)));
    Ok(bounds.min_by_key(|(_, bound)| *bound))
}
