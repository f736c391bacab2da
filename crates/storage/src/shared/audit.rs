//! The audit log: written before a change, completed after it.

use jiff::Timestamp;
use oxbatch_core::access::TokenId;
use oxbatch_core::repository::{AuditEntry, AuditId, AuditPage, NewAuditEntry, PageRequest, RepositoryError};

use super::{Database, OwnedRow, values};
use crate::error::StoreError;

pub(crate) async fn begin<D: Database>(database: &D, new: &NewAuditEntry) -> Result<AuditId, StoreError<D::Error>> {
    const BEGIN: &str = "INSERT INTO oxbatch_audit (time, token_id, who, address, action, object)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let token = new.token_id.map(|id| id.0);
    let row = values![new.time, token, &new.who, new.address.as_ref(), &new.action, &new.object];
    let written = database.optional(BEGIN, &row).await?.unwrap_or(OwnedRow(Vec::new()));
    Ok(AuditId(written.number(0)?))
}

pub(crate) async fn end<D: Database>(database: &D, id: AuditId, outcome: &str) -> Result<(), StoreError<D::Error>> {
    const END: &str = "UPDATE oxbatch_audit SET outcome = $1 WHERE id = $2 AND outcome IS NULL";
    database.execute(END, &values![outcome, id.0]).await?;
    Ok(())
}

pub(crate) async fn page<D: Database>(
    database: &D,
    since: Option<Timestamp>,
    page: PageRequest,
) -> Result<AuditPage, StoreError<D::Error>> {
    const PAGE: &str = "SELECT id, time, token_id, who, address, action, object, outcome FROM oxbatch_audit
         WHERE id < $1 AND time >= $2 ORDER BY id DESC LIMIT $3";
    let since = since.unwrap_or(Timestamp::MIN);
    let rows = database.query(PAGE, &values![page.upper_bound(), since, page.rows_to_read()]).await?;
    Ok(AuditPage::of(rows.iter().map(entry).collect::<Result<_, _>>()?, page.limit))
}

pub(crate) async fn prune<D: Database>(
    database: &D,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError<D::Error>> {
    const PRUNE: &str = "DELETE FROM oxbatch_audit WHERE id IN
         (SELECT id FROM oxbatch_audit WHERE time < $1 ORDER BY time LIMIT $2)";
    database.execute(PRUNE, &values![before, i64::from(limit)]).await
}

fn entry(row: &OwnedRow) -> Result<AuditEntry, RepositoryError> {
    let text = |column| Ok::<_, RepositoryError>(row.optional_text(column)?.map(str::to_owned));
    Ok(AuditEntry {
        id: AuditId(row.number(0)?),
        entry: NewAuditEntry {
            time: row.time(1)?,
            token_id: row.optional_number(2)?.map(TokenId),
            who: row.text(3)?.to_owned(),
            address: text(4)?,
            action: row.text(5)?.to_owned(),
            object: row.text(6)?.to_owned(),
        },
        outcome: text(7)?,
    })
}
