//! The channels of notices, as each service has them.

use jiff::Timestamp;
use oxbatch_core::notice::NoticeChannel;
use oxbatch_core::repository::rules::channels as rules;
use oxbatch_core::repository::{Node, RepositoryError, ServiceChannels};
use uuid::Uuid;

use super::{Database, OwnedRow, Value, values};
use crate::error::StoreError;

/// The channels of all services that have any.
pub(crate) async fn all<D: Database>(database: &D) -> Result<Vec<ServiceChannels>, StoreError<D::Error>> {
    let sql = "SELECT service, node, confirm_time, name, kinds, skips_over FROM oxbatch_notice_channel
         ORDER BY node, service, name";
    let mut services: Vec<ServiceChannels> = Vec::new();
    for row in database.query(sql, &[]).await? {
        let node = Node { boot_id: row.word(0)?, name: row.text(1)?.to_owned() };
        let channel = channel(&row)?;
        match services.last_mut() {
            Some(last) if last.node == node => last.channels.push(channel),
            _ => services.push(ServiceChannels { node, confirm_time: row.time(2)?, channels: vec![channel] }),
        }
    }
    Ok(services)
}

fn channel(row: &OwnedRow) -> Result<NoticeChannel, RepositoryError> {
    Ok(NoticeChannel {
        name: row.text(3)?.to_owned(),
        // A kind of a newer version is nothing that this one notifies anybody of.
        kinds: row.text(4)?.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
        skips_over: row.optional_number(5)?.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
    })
}

/// The channels that notices are written for.
pub(crate) async fn united<D: Database>(database: &D) -> Result<Vec<NoticeChannel>, StoreError<D::Error>> {
    Ok(rules::united(all(database).await?))
}

pub(crate) async fn set<D: Database>(
    database: &D,
    of: &ServiceChannels,
    gone: &[Uuid],
) -> Result<(), StoreError<D::Error>> {
    const FORGET: &str = "DELETE FROM oxbatch_notice_channel WHERE service = $1";
    const SET: &str = "INSERT INTO oxbatch_notice_channel (name, service, node, kinds, skips_over, confirm_time)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name, service) DO UPDATE SET kinds = excluded.kinds, skips_over = excluded.skips_over";
    let service = of.node.boot_id.to_string();
    let replaced = gone.iter().map(Uuid::to_string).chain([service.clone()]);
    database.execute_all(FORGET, &replaced.map(|id| values![&id].to_vec()).collect::<Vec<_>>()).await?;
    let rows = of.channels.iter().map(|channel| {
        let kinds: Vec<&str> = channel.kinds.iter().map(|kind| kind.as_str()).collect();
        let (kinds, skips) = (format!(" {} ", kinds.join(" ")), channel.skips_over.map(i64::from));
        values![&channel.name, &service, &of.node.name, &kinds, skips, of.confirm_time].to_vec()
    });
    let rows: Vec<Vec<Value>> = rows.collect();
    if !rows.is_empty() {
        database.execute_all(SET, &rows).await?;
    }
    Ok(())
}

/// The channels for which an attempt is due.
pub(crate) async fn due<D: Database>(database: &D, time: Timestamp) -> Result<Vec<String>, StoreError<D::Error>> {
    let sql = "SELECT DISTINCT channel FROM oxbatch_notice WHERE next_attempt <= $1 ORDER BY channel";
    let rows = database.query(sql, &values![time]).await?;
    Ok(rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect::<Result<_, RepositoryError>>()?)
}
