//! The changes since a poll: each change that the current snapshot sees and the earlier one did not.
//!
//! Numbers that are given when a transaction begins do not become visible in their order: who only remembers the
//! highest one misses what is committed late. A snapshot knows which transactions were still under way.

use std::fmt;

use oxbatch_core::execution::StepExecution;
use oxbatch_core::repository::Changes;

use super::error::{StoreError, corrupt};
use super::rows;
use super::session::Session;
use super::sql::{execution_columns, step_columns};

/// The transactions that a poll could see; the form is that of PostgreSQL's `pg_snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Snapshot {
    /// The oldest that was still under way.
    xmin: u64,
    /// The first that had not begun.
    xmax: u64,
    /// Those between that were under way.
    under_way: Vec<u64>,
}

/// The position at which a poll goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    /// All that it sees was reported.
    seen: Snapshot,
    /// Of the changes since then, those up to this one were reported too; when all are, it goes on from the snapshot.
    page: Option<(u64, i64, Snapshot)>,
}

impl Snapshot {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, xmax, list) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
        let under_way: Vec<u64> =
            list.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok()).collect::<Option<_>>()?;
        // What PostgreSQL itself asks of one; another would be an error of the statement.
        let in_order = under_way.is_sorted_by(|one, next| one < next);
        let inside = under_way.iter().all(|id| (xmin..xmax).contains(id));
        (parts.next().is_none() && xmin >= 1 && xmin <= xmax && in_order && inside).then_some(Self {
            xmin,
            xmax,
            under_way,
        })
    }

    /// The one that sees nothing from the transaction on: as short as can be.
    fn before(xmin: u64) -> Self {
        Self { xmin, xmax: xmin, under_way: Vec::new() }
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way: Vec<_> = self.under_way.iter().map(u64::to_string).collect();
        write!(formatter, "{}:{}:{}", self.xmin, self.xmax, under_way.join(","))
    }
}

impl Position {
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('p')?;
        if let Ok(xmin @ 1..) = text.parse() {
            return Some(Self { seen: Snapshot::before(xmin), page: None });
        }
        let mut parts = text.split('/');
        let seen = Snapshot::read(parts.next()?)?;
        let page = match parts.next() {
            Some(change) => {
                let (id, next) = (parts.next()?.parse().ok()?, Snapshot::read(parts.next()?)?);
                Some((change.parse().ok()?, id, next))
            }
            None => None,
        };
        parts.next().is_none().then_some(Self { seen, page })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "p{}", self.seen)?;
        match &self.page {
            Some((change, id, next)) => write!(formatter, "/{change}/{id}/{next}"),
            None => Ok(()),
        }
    }
}

pub(super) async fn changes(session: &Session, since: Option<&str>, limit: u32) -> Result<Changes, StoreError> {
    let Some(since) = since.and_then(Position::read) else {
        let row = session.one("SELECT pg_current_snapshot()::text", &[]).await?;
        return Ok(Changes { resumed: false, ..none_left(snapshot(row.try_get(0)?)?) });
    };
    let limit = limit.max(1) as usize;
    let rows_asked = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    // The one lower bound of the index: beside a second one the server would begin at the lower of the two.
    let (change, id) = since.page.as_ref().map_or((since.seen.xmin, 0), |(change, id, _)| (*change, *id));
    // The pages of a round are of its first page's moment: it comes to an end however much changes meanwhile.
    let until = since.page.as_ref().map(|(_, _, next)| next.to_string());
    // A number that was never given here, since the database was restored elsewhere, is as one that has not begun.
    let found = session
        .query(
            concat!(
                "SELECT changed.*, changed.change::text, now.snapshot::text
                 FROM (SELECT coalesce($5::text::pg_snapshot, pg_current_snapshot()) AS snapshot) AS now
                 LEFT JOIN LATERAL (
                     SELECT ",
                execution_columns!(),
                ", change FROM oxbatch_job_execution
                     WHERE change < pg_snapshot_xmax(now.snapshot)
                         AND pg_visible_in_snapshot(change, now.snapshot)
                         AND NOT pg_visible_in_snapshot(change, $1::text::pg_snapshot)
                         AND (change, id) > ($2::text::xid8, $3)
                     ORDER BY change, id LIMIT $4
                 ) AS changed ON TRUE ORDER BY changed.change, changed.id"
            ),
            &[&since.seen.to_string(), &change.to_string(), &id, &rows_asked, &until],
        )
        .await?;
    let first = found.first().ok_or_else(|| corrupt("answer", 0, "it has no row although it must have one"))?;
    let next = snapshot(first.try_get(rows::EXECUTION_COLUMNS + 2)?)?;
    if first.try_get::<_, Option<i64>>(0)?.is_none() {
        return Ok(none_left(next));
    }
    let executions = found.iter().take(limit).map(rows::execution).collect::<Result<Vec<_>, _>>()?;
    let last = found.get(limit - 1).filter(|_| found.len() > limit);
    let Some(last) = last else { return Ok(Changes { executions, ..none_left(next) }) };
    let id = last.try_get(0)?;
    let change = last.try_get::<_, &str>(rows::EXECUTION_COLUMNS + 1)?;
    let change = change.parse().map_err(|error: std::num::ParseIntError| corrupt("change of execution", id, error))?;
    let resume = format!("p{}", since.seen.xmin);
    let position = Position { seen: since.seen, page: Some((change, id, next)) }.to_string();
    Ok(Changes { executions, position, resume, more: true, resumed: true })
}

/// One that PostgreSQL wrote.
fn snapshot(text: &str) -> Result<Snapshot, StoreError> {
    Snapshot::read(text).ok_or_else(|| corrupt("snapshot", 0, format!("'{text}' is none")))
}

/// The answer when all changes that the snapshot sees were reported.
fn none_left(seen: Snapshot) -> Changes {
    let resume = format!("p{}", seen.xmin);
    Changes {
        executions: Vec::new(),
        position: Position { seen, page: None }.to_string(),
        resume,
        more: false,
        resumed: true,
    }
}

/// The steps of executions that have an owner.
pub(super) async fn running_steps(session: &Session, limit: u32) -> Result<Vec<StepExecution>, StoreError> {
    let sql = concat!(
        "SELECT ",
        step_columns!(),
        " FROM oxbatch_step_execution WHERE job_execution_id IN
             (SELECT id FROM oxbatch_job_execution WHERE lease_owner IS NOT NULL) ORDER BY id LIMIT $1"
    );
    session.query(sql, &[&i64::from(limit)]).await?.iter().map(rows::step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_and_no_other_text_does() {
        for text in ["p5:9:5,7", "p5:5:", "p5:9:5,7/6/12/7:11:8"] {
            assert_eq!(Position::read(text).unwrap().to_string(), text);
        }
        assert_eq!(Position::read("p7").unwrap().to_string(), "p7:7:");
        for text in ["", "p", "7", "s7", "p0", "p-1", "p9:5:", "p5:9:9", "p5:9:7,5", "p5:9", "p5:9:/6", "p5:9:/6/1/x"] {
            assert_eq!(Position::read(text), None, "{text}");
        }
    }
}
