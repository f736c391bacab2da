//! The PostgreSQL server of the rows that need one, as `scripts/postgres run` starts it.

use oxbatch_storage::PostgresSettings;
use oxbatch_storage::tokio_postgres::Client;

use crate::BoxError;

/// Where `scripts/postgres run` names its server.
const VARIABLE: &str = "OXBATCH_TEST_POSTGRES";

/// Its URL.
pub(crate) fn url() -> Result<String, BoxError> {
    std::env::var(VARIABLE)
        .map_err(|_| "a server is needed: scripts/postgres run cargo run --release -p oxbatch-benches -- …".into())
}

/// Works with a connection.
pub(super) fn with_client<T>(url: &str, work: impl AsyncFnOnce(&Client) -> Result<T, BoxError>) -> Result<T, BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = PostgresSettings::from_url(url)?.connect().await?;
        work(&client).await
    })
}

/// Runs statements.
pub(super) fn execute(url: &str, statements: &str) -> Result<(), BoxError> {
    with_client(url, async |client| Ok(client.batch_execute(statements).await?))
}

/// Rows, and a sum over their contents.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a checksum")]
pub(super) fn checksum(url: &str) -> Result<u64, BoxError> {
    let sum = "SELECT sum(amount + length(transaction_id) + ascii(status) + length(account_to) +
                   extract(day FROM timestamp AT TIME ZONE 'UTC'))::float8 FROM trades";
    let sum: f64 = with_client(url, async |client| Ok(client.query_one(sum, &[]).await?.get(0)))?;
    Ok((sum * 100.0).round() as u64)
}
