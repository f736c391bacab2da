//! Lists and details: keyset pages over indexes, never OFFSET.

use oxbatch_core::execution::{
    ExecutionId, InstanceId, JobExecution, JobInstance, StepExecution, StepExecutionId, StoredSkip,
};
use oxbatch_core::repository::{
    ExecutionFilter, ExecutionPage, Health, InstanceFilter, InstancePage, InstanceParameter, JobSummary, PageRequest,
    RepositoryError, SkipPage,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::error::Fault;
use super::sql::{execution_columns, skip_columns, step_columns};
use super::{migrate, rows};

/// Executions of a time span up to which it is cheaper to sort them than to look for them from the newest on.
const NARROW_SPAN: i64 = 10_000;

pub(super) fn execution(connection: &Connection, id: ExecutionId) -> Result<Option<JobExecution>, Fault> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM oxbatch_job_execution WHERE id = ?1"
    ))?;
    Ok(statement.query_row([id.0], rows::execution).optional()?)
}

pub(super) fn executions(
    connection: &Connection,
    filter: &ExecutionFilter,
    page: PageRequest,
) -> Result<ExecutionPage, Fault> {
    let (sql, values) = select_executions(connection, filter, page)?;
    let mut statement = connection.prepare_cached(&sql)?;
    let mut executions: Vec<JobExecution> =
        statement.query_map(params_from_iter(values), rows::execution)?.collect::<Result<_, _>>()?;
    let next = cut(&mut executions, page.limit).map(|execution| execution.id.0);
    Ok(ExecutionPage { executions, next })
}

/// Cuts the row that only tells that there are more, and answers the last of the page then.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: u32) -> Option<&T> {
    let limit = limit.max(1) as usize;
    if rows.len() <= limit {
        return None;
    }
    rows.truncate(limit);
    rows.last()
}

fn row_limit(page: PageRequest) -> Value {
    Value::Integer(i64::from(page.limit.max(1)) + 1)
}

/// The statement of a list: static pieces, everything else bound. Each status has a branch of its own, so that each
/// walks its index from the newest on.
fn select_executions(
    connection: &Connection,
    filter: &ExecutionFilter,
    page: PageRequest,
) -> Result<(String, Vec<Value>), Fault> {
    let mut statuses: Vec<Option<&'static str>> = filter.statuses.iter().map(|status| Some(status.as_str())).collect();
    statuses.sort_unstable();
    statuses.dedup();
    if statuses.is_empty() {
        statuses.push(None);
    }
    let by_time = (filter.from.is_some() || filter.to.is_some())
        && filter.job_name.is_none()
        && filter.instance_id.is_none()
        && is_better_by_time(connection, filter)?;
    let source = match by_time {
        true => "oxbatch_job_execution INDEXED BY oxbatch_job_execution_created",
        false => "oxbatch_job_execution",
    };
    let (mut sql, mut values) = (String::new(), Vec::new());
    let branches = statuses.len();
    for (number, status) in statuses.into_iter().enumerate() {
        if number > 0 {
            sql.push_str(" UNION ALL ");
        }
        if branches > 1 {
            sql.push_str("SELECT * FROM (");
        }
        sql.push_str(concat!("SELECT ", execution_columns!(), " FROM "));
        sql.push_str(source);
        sql.push_str(" WHERE id < ?");
        values.push(Value::Integer(page.before.unwrap_or(i64::MAX)));
        let mut and = |condition: &str, value: Option<Value>| {
            if let Some(value) = value {
                sql.push_str(condition);
                values.push(value);
            }
        };
        and(" AND status = ?", status.map(|status| Value::Text(status.to_owned())));
        and(" AND job_name = ?", filter.job_name.clone().map(Value::Text));
        and(" AND job_instance_id = ?", filter.instance_id.map(|id| Value::Integer(id.0)));
        and(" AND create_time >= ?", filter.from.map(|time| Value::Integer(time.as_microsecond())));
        and(" AND create_time < ?", filter.to.map(|time| Value::Integer(time.as_microsecond())));
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        values.push(row_limit(page));
        if branches > 1 {
            sql.push(')');
        }
    }
    if branches > 1 {
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        values.push(row_limit(page));
    }
    Ok((sql, values))
}

/// Whether the span is found faster by the index on times: it is narrow, or it lies in the past, behind everything
/// that is newer.
fn is_better_by_time(connection: &Connection, filter: &ExecutionFilter) -> Result<bool, Fault> {
    if filter.to.is_some() {
        return Ok(true);
    }
    let from = filter.from.map_or(i64::MIN, |time| time.as_microsecond());
    let found: i64 = connection
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM oxbatch_job_execution WHERE create_time >= ?1 LIMIT ?2)")?
        .query_row(params![from, NARROW_SPAN], |row| row.get(0))?;
    Ok(found < NARROW_SPAN)
}

pub(super) fn steps(connection: &Connection, id: ExecutionId) -> Result<Vec<StepExecution>, Fault> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        step_columns!(),
        " FROM oxbatch_step_execution WHERE job_execution_id = ?1 ORDER BY id"
    ))?;
    let steps = statement.query_map([id.0], rows::step)?.collect::<Result<_, _>>()?;
    Ok(steps)
}

pub(super) fn skips(
    connection: &Connection,
    id: StepExecutionId,
    after: Option<i64>,
    limit: u32,
) -> Result<SkipPage, Fault> {
    let known = connection.prepare_cached("SELECT 1 FROM oxbatch_step_execution WHERE id = ?1")?.exists([id.0])?;
    if !known {
        return Err(RepositoryError::NotFound { what: "step execution", id: id.0 }.into());
    }
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        skip_columns!(),
        " FROM oxbatch_skipped_item WHERE step_execution_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    ))?;
    let values = rusqlite::params![id.0, after.unwrap_or(0), i64::from(limit) + 1];
    let mut skips: Vec<StoredSkip> = statement.query_map(values, rows::skip)?.collect::<Result<_, _>>()?;
    let next = cut(&mut skips, limit).map(|skip| skip.id);
    Ok(SkipPage { skips, next })
}

pub(super) fn instance(connection: &Connection, id: InstanceId) -> Result<Option<JobInstance>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT id, job_name, job_key, create_time FROM oxbatch_job_instance WHERE id = ?1")?;
    Ok(statement.query_row([id.0], rows::instance).optional()?)
}

pub(super) fn instances(
    connection: &Connection,
    filter: &InstanceFilter,
    page: PageRequest,
) -> Result<InstancePage, Fault> {
    let before = Value::Integer(page.before.unwrap_or(i64::MAX));
    let (sql, values) = match &filter.job_name {
        Some(job_name) => (
            "SELECT id, job_name, job_key, create_time FROM oxbatch_job_instance
             WHERE id < ?1 AND job_name = ?3 ORDER BY id DESC LIMIT ?2",
            vec![before, row_limit(page), Value::Text(job_name.clone())],
        ),
        None => (
            "SELECT id, job_name, job_key, create_time FROM oxbatch_job_instance
             WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
            vec![before, row_limit(page)],
        ),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut instances: Vec<JobInstance> =
        statement.query_map(params_from_iter(values), rows::instance)?.collect::<Result<_, _>>()?;
    let next = cut(&mut instances, page.limit).map(|instance| instance.id.0);
    Ok(InstancePage { instances, next })
}

pub(super) fn instance_parameters(connection: &Connection, id: InstanceId) -> Result<Vec<InstanceParameter>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT id, job_instance_id, key_name, string_value, long_value, double_value, date_value, date_only,
             identifying, secret
         FROM oxbatch_job_instance_parameter WHERE job_instance_id = ?1 ORDER BY key_name",
    )?;
    let parameters = statement.query_map([id.0], rows::parameter)?.collect::<Result<_, _>>()?;
    Ok(parameters)
}

pub(super) fn job_summary(connection: &Connection, job_name: &str) -> Result<JobSummary, Fault> {
    let last_execution = connection
        .prepare_cached(concat!(
            "SELECT ",
            execution_columns!(),
            " FROM oxbatch_job_execution WHERE job_name = ?1 ORDER BY id DESC LIMIT 1"
        ))?
        .query_row([job_name], rows::execution)
        .optional()?;
    let mut statement = connection.prepare_cached(
        "SELECT status, count(*) FROM oxbatch_job_execution INDEXED BY oxbatch_job_execution_of_job_and_status
         WHERE job_name = ?1 GROUP BY status",
    )?;
    let mut counts: Vec<_> = statement
        .query_map([job_name], |row| Ok((rows::status(row, 0, 0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    counts.sort_unstable();
    Ok(JobSummary { last_execution, counts })
}

pub(super) fn health(connection: &Connection) -> Result<Health, Fault> {
    Ok(Health { migration: migrate::applied(connection)?, expected_migration: migrate::NEWEST })
}

#[cfg(test)]
mod tests {
    use oxbatch_core::execution::Status;

    use super::*;
    use crate::SqliteRepository;

    #[test]
    fn every_list_walks_an_index_and_sorts_nothing_but_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let repository = SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap();
        let connection = repository.open_reader().unwrap();
        let job_name = Some("Job".to_owned());
        let filter = ExecutionFilter::default;
        let some = vec![Status::Failed, Status::Stopped];
        for filter in [
            filter(),
            ExecutionFilter { job_name: job_name.clone(), ..filter() },
            ExecutionFilter { statuses: some.clone(), ..filter() },
            ExecutionFilter { statuses: some, job_name, ..filter() },
            ExecutionFilter { instance_id: Some(InstanceId(1)), ..filter() },
        ] {
            let page = PageRequest { before: Some(1_000), limit: 50 };
            let (sql, values) = select_executions(&connection, &filter, page).ok().unwrap();
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan: Vec<String> =
                statement.query_map(params_from_iter(values), |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            let scans = plan.iter().filter(|line| line.starts_with("SCAN oxbatch")).count();
            let sorted = plan.iter().any(|line| line.contains("TEMP B-TREE"));
            assert!(scans == 0 && (!sorted || filter.statuses.len() > 1), "{filter:?}: {plan:#?}");
            assert!(plan.iter().any(|line| line.starts_with("SEARCH oxbatch_job_execution USING")), "{plan:#?}");
        }
    }
}
