//! Lists and details: keyset pages over indexes, never OFFSET.

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, InstanceId, JobExecution, JobInstance, StepExecution, StepExecutionId};
use oxbatch_core::repository::rules::list::{FEW_INSTANCES, IdRange, bounding_times, is_search, search_down_to};
use oxbatch_core::repository::{
    ExecutionFilter, ExecutionPage, FoundCount, FoundCounts, Health, InstanceFilter, InstancePage, InstanceParameter,
    Missing, PageRequest, RepositoryError, SkipPage, StatusCounts, Workload, rows_to_read,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::error::{StoreError, unreadable};
use super::sql::{execution_columns, instance_columns, skip_columns, step_columns};
use super::{migrate, rows};
use crate::list::{self, Dialect, Way, count_executions, count_instances, select_executions};

pub(super) fn execution(connection: &Connection, id: ExecutionId) -> Result<Option<JobExecution>, StoreError> {
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
) -> Result<ExecutionPage, StoreError> {
    let way = way(connection, filter, page)?;
    let (sql, values) = select_executions(filter, way.page, &way.dialect);
    let mut statement = connection.prepare_cached(&sql)?;
    let executions = statement.query_map(params_from_iter(values.into_iter().map(bound)), rows::execution)?;
    let executions = executions.collect::<Result<_, _>>()?;
    Ok(match way.looked_at {
        Some((down_to, oldest)) => ExecutionPage::of_search(executions, page.limit, down_to, oldest),
        None => ExecutionPage::of(executions, page.limit),
    })
}

pub(super) fn count_found(
    connection: &Connection,
    filter: &ExecutionFilter,
    page: PageRequest,
) -> Result<FoundCounts, StoreError> {
    let way = way(connection, filter, page)?;
    let (sql, values) = count_executions(filter, way.page, &way.dialect);
    let mut statement = connection.prepare_cached(&sql)?;
    let groups = statement.query_map(params_from_iter(values.into_iter().map(bound)), |row| {
        let later = row.get::<_, Option<i64>>(1)?.map(ExecutionId);
        let count = usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
        Ok((FoundCount { status: rows::status(row, 0, 0)?, later, count }, row.get(3)?))
    })?;
    let groups = groups.collect::<Result<_, _>>()?;
    Ok(match way.looked_at {
        Some((down_to, oldest)) => FoundCounts::of_search(groups, page.limit, down_to, oldest),
        None => FoundCounts::of(groups, page.limit),
    })
}

/// The way to the rows of a page.
fn way(connection: &Connection, filter: &ExecutionFilter, page: PageRequest) -> Result<Way, StoreError> {
    let range = id_range(connection, filter)?;
    let page = range.page(page);
    if is_search(filter) {
        return search(connection, filter, page, range);
    }
    Ok(Way { dialect: Dialect { down_to: range.down_to(), ..dialect() }, page, looked_at: None })
}

/// A search: the executions of the few instances that have a parameter, else some of the newest that are left.
fn search(
    connection: &Connection,
    filter: &ExecutionFilter,
    page: PageRequest,
    range: IdRange,
) -> Result<Way, StoreError> {
    if let Some(wanted) = filter.parameters.first() {
        let (sql, values) = count_instances(wanted, '?');
        let values = params_from_iter(values.into_iter().map(bound));
        let instances: i64 = connection.prepare_cached(&sql)?.query_row(values, |row| row.get(0))?;
        if instances <= FEW_INSTANCES {
            let table = "oxbatch_job_execution INDEXED BY oxbatch_job_execution_of_instance";
            let instances = Some([" AND job_instance_id IN (", ")"]);
            return Ok(Way { dialect: Dialect { table, instances, ..dialect() }, page, looked_at: None });
        }
    }
    let (oldest, newest): (i64, i64) = connection
        .prepare_cached(
            "SELECT coalesce((SELECT min(id) FROM oxbatch_job_execution), 0),
                 coalesce((SELECT max(id) FROM oxbatch_job_execution), 0)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (oldest, down_to) = search_down_to(page, range, (oldest, newest));
    let dialect = Dialect { down_to: Some(down_to), ..dialect() };
    Ok(Way { dialect, page, looked_at: Some((down_to, oldest)) })
}

fn dialect() -> Dialect {
    let text = [" AND (instr(lower(coalesce(exit_message, '')), ", ") > 0 OR instr(lower(job_name), ", ") > 0)"];
    let ids = [" AND id IN (SELECT value FROM json_each('[' || ", " || ']'))"];
    Dialect {
        sign: '?',
        table: "oxbatch_job_execution",
        order: "id",
        by_keys: false,
        branch: "SELECT * FROM (",
        ids,
        text,
        instances: None,
        down_to: None,
        create_time: "+create_time",
    }
}

fn bound(value: list::Value) -> Value {
    match value {
        list::Value::Number(number) => Value::Integer(number),
        list::Value::Text(text) => Value::Text(text),
        list::Value::Time(time) => Value::Integer(time.as_microsecond()),
        list::Value::Double(double) => Value::Real(double),
    }
}

/// The ids among which a list by time is found: a look into the index on times for each bound.
fn id_range(connection: &Connection, filter: &ExecutionFilter) -> Result<IdRange, StoreError> {
    let backstep = |connection: &Connection| {
        connection.prepare_cached("SELECT backstep FROM oxbatch_time_order")?.query_row([], |row| row.get(0))
    };
    let noted = if filter.from.is_some() || filter.to.is_some() { backstep(connection)? } else { 0 };
    let Some(bounds) = bounding_times(filter, noted) else { return Ok(IdRange::default()) };
    let find = |sql: &str, time: Option<Timestamp>| {
        let Some(time) = time else { return Ok(None) };
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row([time.as_microsecond()], |row| row.get(0)).optional()
    };
    Ok(IdRange { above: find(LAST_BEFORE, bounds.from)?, below: find(FIRST_FROM, bounds.to)? })
}

const LAST_BEFORE: &str =
    "SELECT id FROM oxbatch_job_execution WHERE create_time < ?1 ORDER BY create_time DESC, id DESC LIMIT 1";
const FIRST_FROM: &str =
    "SELECT id FROM oxbatch_job_execution WHERE create_time >= ?1 ORDER BY create_time, id LIMIT 1";

pub(super) fn steps(connection: &Connection, id: ExecutionId) -> Result<Vec<StepExecution>, StoreError> {
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
) -> Result<SkipPage, StoreError> {
    let known = connection.prepare_cached("SELECT 1 FROM oxbatch_step_execution WHERE id = ?1")?.exists([id.0])?;
    if !known {
        return Err(RepositoryError::NotFound { what: Missing::StepExecution, id: id.0 }.into());
    }
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        skip_columns!(),
        " FROM oxbatch_skipped_item WHERE step_execution_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    ))?;
    let skips = statement.query_map(params![id.0, after.unwrap_or(0), rows_to_read(limit)], rows::skip)?;
    Ok(SkipPage::of(skips.collect::<Result<_, _>>()?, limit))
}

pub(super) fn instance(connection: &Connection, id: InstanceId) -> Result<Option<JobInstance>, StoreError> {
    let sql = concat!("SELECT ", instance_columns!(), " FROM oxbatch_job_instance WHERE id = ?1");
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([id.0], rows::instance).optional()?)
}

pub(super) fn instances(
    connection: &Connection,
    filter: &InstanceFilter,
    page: PageRequest,
) -> Result<InstancePage, StoreError> {
    let (before, limit) = (Value::Integer(page.upper_bound()), Value::Integer(page.rows_to_read()));
    let (sql, values) = match &filter.job_name {
        Some(job_name) => (
            concat!(
                "SELECT ",
                instance_columns!(),
                " FROM oxbatch_job_instance WHERE id < ?1 AND job_name = ?3 ORDER BY id DESC LIMIT ?2"
            ),
            vec![before, limit, Value::Text(job_name.clone())],
        ),
        None => (
            concat!(
                "SELECT ",
                instance_columns!(),
                " FROM oxbatch_job_instance WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
            ),
            vec![before, limit],
        ),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let instances = statement.query_map(params_from_iter(values), rows::instance)?;
    Ok(InstancePage::of(instances.collect::<Result<_, _>>()?, page.limit))
}

pub(super) fn newest_executions(
    connection: &Connection,
    instances: &[InstanceId],
) -> Result<Vec<JobExecution>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM oxbatch_job_execution WHERE id =
             (SELECT id FROM oxbatch_job_execution WHERE job_instance_id = ?1 ORDER BY id DESC LIMIT 1)"
    ))?;
    let found = instances.iter().filter_map(|id| statement.query_row([id.0], rows::execution).optional().transpose());
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn instance_count(connection: &Connection, filter: &InstanceFilter) -> Result<i64, StoreError> {
    let count = match &filter.job_name {
        Some(job_name) => connection
            .prepare_cached("SELECT count(*) FROM oxbatch_job_instance WHERE job_name = ?1")?
            .query_row([job_name], |row| row.get(0))?,
        None => {
            connection.prepare_cached("SELECT count(*) FROM oxbatch_job_instance")?.query_row([], |row| row.get(0))?
        }
    };
    Ok(count)
}

pub(super) fn instance_parameters(
    connection: &Connection,
    id: InstanceId,
) -> Result<Vec<InstanceParameter>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, job_instance_id, key_name, string_value, long_value, double_value, date_value, date_only,
             identifying, secret
         FROM oxbatch_job_instance_parameter WHERE job_instance_id = ?1 ORDER BY key_name",
    )?;
    let parameters = statement.query_map([id.0], rows::parameter)?.collect::<Result<_, _>>()?;
    Ok(parameters)
}

pub(super) fn job_counts(connection: &Connection, job_name: &str) -> Result<StatusCounts, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT status, count(*) FROM oxbatch_job_execution INDEXED BY oxbatch_job_execution_of_job_and_status
         WHERE job_name = ?1 GROUP BY status",
    )?;
    let mut counts: Vec<_> = statement
        .query_map([job_name], |row| Ok((rows::status(row, 0, 0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    counts.sort_unstable();
    Ok(counts)
}

pub(super) fn workload(connection: &Connection) -> Result<Vec<Workload>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT job_name, status, count(*), min(create_time) FROM oxbatch_job_execution
         WHERE status IN ('STARTING', 'STARTED', 'STOPPING') GROUP BY job_name, status ORDER BY job_name, status",
    )?;
    let found = statement.query_map([], |row| {
        let oldest = Timestamp::from_microsecond(row.get(3)?).map_err(|error| unreadable("time", 0, error))?;
        Ok(Workload { job_name: row.get(0)?, status: rows::status(row, 1, 0)?, count: row.get(2)?, oldest })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn health(connection: &Connection) -> Result<Health, StoreError> {
    Ok(Health { migration: migrate::applied(connection)?, expected_migration: migrate::NEWEST })
}

#[cfg(test)]
mod tests {
    use oxbatch_core::execution::Status;

    use super::*;
    use crate::SqliteRepository;
    use crate::sqlite::open::{self, Durability};

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
            let (sql, values) = select_executions(&filter, page, &dialect());
            let values = params_from_iter(values.into_iter().map(bound));
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan: Vec<String> =
                statement.query_map(values, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            let scans = plan.iter().filter(|line| line.starts_with("SCAN oxbatch")).count();
            let sorted = plan.iter().any(|line| line.contains("TEMP B-TREE"));
            assert!(scans == 0 && (!sorted || filter.statuses.len() > 1), "{filter:?}: {plan:#?}");
            assert!(plan.iter().any(|line| line.starts_with("SEARCH oxbatch_job_execution USING")), "{plan:#?}");
        }
    }

    #[test]
    fn those_that_have_an_owner_are_found_by_the_index_of_leases() {
        let folder = tempfile::tempdir().unwrap();
        let repository = SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap();
        let connection = repository.open_reader().unwrap();
        for sql in [crate::nodes::RUNNING, crate::sqlite::recover::LEASED] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
            let plan = statement.query_map(params_from_iter(nulls), |row| row.get(3)).unwrap();
            let plan: Vec<String> = plan.map(Result::unwrap).collect();
            assert!(plan.iter().any(|line| line.contains("oxbatch_job_execution_leased")), "{plan:#?}");
        }
    }

    /// Executions a second apart from 1970 on; of each hundred the first is of a rare job.
    fn history(folder: &std::path::Path, count: i64) -> Connection {
        let repository = SqliteRepository::open(&folder.join("oxbatch.db")).unwrap();
        let connection = open::writer(&folder.join("oxbatch.db"), Durability::Later).unwrap();
        drop(repository);
        connection
            .execute_batch(&format!(
                "CREATE TEMP TABLE number AS
                     WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {count})
                     SELECT n, iif(n % 100 = 1, 'Rare', 'Job') AS job_name, n * 1000000 AS time FROM series;
                 INSERT INTO oxbatch_job_instance (id, job_name, job_key, create_time)
                     SELECT n, job_name, n, time FROM number;
                 INSERT INTO oxbatch_job_execution (id, job_instance_id, job_name, status, create_time, end_time,
                     parameters, forced)
                     SELECT n, n, job_name, 'COMPLETED', time, time, '{{}}', 0 FROM number"
            ))
            .unwrap();
        connection
    }

    #[test]
    fn a_time_span_is_found_in_a_range_of_ids_that_is_hardly_larger() {
        let folder = tempfile::tempdir().unwrap();
        let count = 20_000;
        let connection = history(folder.path(), count);
        let second = |second| Some(Timestamp::from_second(second).unwrap());
        let rare = Some("Rare".to_owned());
        let filter = ExecutionFilter::default;
        let (early, middle, late) = (5_000, 10_000, 15_000);
        // Filter, begin of the page, the range without the time that is not noted, and the newest that is found.
        let cases = [
            (filter(), None, (None, None), count),
            (ExecutionFilter { from: second(early), ..filter() }, None, (Some(early - 61), None), count),
            (ExecutionFilter { to: second(early), ..filter() }, None, (None, Some(early + 60)), early - 1),
            (ExecutionFilter { to: second(count + 1), ..filter() }, None, (None, None), count),
            (ExecutionFilter { to: second(middle), ..filter() }, Some(early), (None, Some(middle + 60)), early - 1),
            (
                ExecutionFilter { from: second(early), to: second(late), job_name: rare.clone(), ..filter() },
                None,
                (Some(early - 61), Some(late + 60)),
                late - 99,
            ),
            (
                ExecutionFilter { to: second(early), job_name: rare, ..filter() },
                None,
                (None, Some(early + 60)),
                early - 99,
            ),
        ];
        for (filter, before, (above, below), newest) in cases {
            let page = PageRequest { before, limit: 2 };
            assert_eq!(id_range(&connection, &filter).ok(), Some(IdRange { above, below }), "{filter:?}");
            let found = executions(&connection, &filter, page).ok().unwrap().executions;
            let step = if filter.job_name.is_some() { 100 } else { 1 };
            let ids: Vec<i64> = found.iter().map(|execution| execution.id.0).collect();
            assert_eq!(ids, [newest, newest - step], "{filter:?}");
        }
    }

    #[test]
    fn a_list_by_time_walks_ids_and_not_the_index_on_times() {
        let folder = tempfile::tempdir().unwrap();
        let connection = history(folder.path(), 10);
        let time = Some(Timestamp::from_second(5).unwrap());
        let job_name = Some("Rare".to_owned());
        for job_name in [None, job_name] {
            let filter = ExecutionFilter { from: time, to: time, job_name, ..ExecutionFilter::default() };
            let (sql, values) = select_executions(&filter, PageRequest { before: Some(9), limit: 2 }, &dialect());
            let values = params_from_iter(values.into_iter().map(bound));
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan: Vec<String> =
                statement.query_map(values, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            let is_wrong = |line: &String| line.contains("created") || line.contains("TEMP B-TREE");
            assert!(!plan.iter().any(is_wrong), "{plan:#?}");
        }
    }
}
