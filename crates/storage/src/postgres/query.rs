//! Lists and details: keyset pages over indexes, never OFFSET.

use oxbatch_core::execution::{ExecutionId, InstanceId, JobExecution, JobInstance, StepExecution, StepExecutionId};
use oxbatch_core::repository::rules::list::{FEW_INSTANCES, IdRange, bounding_times, is_search, search_down_to};
use oxbatch_core::repository::{
    ExecutionFilter, ExecutionPage, FoundCount, FoundCounts, Health, InstanceFilter, InstancePage, InstanceParameter,
    Missing, PageRequest, RepositoryError, SkipPage, StatusCounts, Workload, rows_to_read,
};
use tokio_postgres::types::{ToSql, Type};

use super::error::StoreError;
use super::session::Session;
use super::sql::{execution_columns, instance_columns, skip_columns, step_columns};
use super::{migrate, rows};
use crate::list::{Dialect, Value, Way, count_executions, count_instances, select_executions};

pub(super) async fn execution(session: &Session, id: ExecutionId) -> Result<Option<JobExecution>, StoreError> {
    let sql = concat!("SELECT ", execution_columns!(), " FROM oxbatch_job_execution WHERE id = $1");
    session.optional(sql, &[&id.0]).await?.as_ref().map(rows::execution).transpose()
}

pub(super) async fn executions(
    session: &Session,
    filter: &ExecutionFilter,
    page: PageRequest,
) -> Result<ExecutionPage, StoreError> {
    if is_no_name(filter.job_name.as_deref()) {
        return Ok(ExecutionPage { executions: Vec::new(), next: None });
    }
    let way = way(session, filter, page).await?;
    let (sql, values) = select_executions(filter, way.page, &way.dialect);
    let found = session.list(&sql, &values.iter().map(typed).collect::<Vec<_>>()).await?;
    let executions = found.iter().map(rows::execution).collect::<Result<_, _>>()?;
    Ok(match way.looked_at {
        Some((down_to, oldest)) => ExecutionPage::of_search(executions, page.limit, down_to, oldest),
        None => ExecutionPage::of(executions, page.limit),
    })
}

pub(super) async fn count_found(
    session: &Session,
    filter: &ExecutionFilter,
    page: PageRequest,
) -> Result<FoundCounts, StoreError> {
    if is_no_name(filter.job_name.as_deref()) {
        return Ok(FoundCounts::default());
    }
    let way = way(session, filter, page).await?;
    let (sql, values) = count_executions(filter, way.page, &way.dialect);
    let group = |row: &tokio_postgres::Row| {
        let later = row.try_get::<_, Option<i64>>(1)?.map(ExecutionId);
        let count = usize::try_from(row.try_get::<_, i64>(2)?).unwrap_or(0);
        Ok::<_, StoreError>((FoundCount { status: rows::status(row, 0, 0)?, later, count }, row.try_get(3)?))
    };
    let found = session.list(&sql, &values.iter().map(typed).collect::<Vec<_>>()).await?;
    let groups = found.iter().map(group).collect::<Result<_, _>>()?;
    Ok(match way.looked_at {
        Some((down_to, oldest)) => FoundCounts::of_search(groups, page.limit, down_to, oldest),
        None => FoundCounts::of(groups, page.limit),
    })
}

/// The way to the rows of a page.
async fn way(session: &Session, filter: &ExecutionFilter, page: PageRequest) -> Result<Way, StoreError> {
    let range = id_range(session, filter).await?;
    let page = range.page(page);
    if is_search(filter) {
        return search(session, filter, page, range).await;
    }
    Ok(Way { dialect: Dialect { down_to: range.down_to(), ..dialect() }, page, looked_at: None })
}

/// A search: the executions of the few instances that have a parameter, else some of the newest that are left.
async fn search(
    session: &Session,
    filter: &ExecutionFilter,
    page: PageRequest,
    range: IdRange,
) -> Result<Way, StoreError> {
    if let Some(wanted) = filter.parameters.first() {
        let (sql, values) = count_instances(wanted, '$');
        let counted = session.list(&sql, &values.iter().map(typed).collect::<Vec<_>>()).await?;
        let instances: i64 = counted.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))?;
        if instances <= FEW_INSTANCES {
            let instances = Some([" AND job_instance_id = ANY (ARRAY(", "))"]);
            let dialect = Dialect { order: "id + 0", instances, ..dialect() };
            return Ok(Way { dialect, page, looked_at: None });
        }
    }
    let bounds = session
        .one(
            "SELECT coalesce((SELECT min(id) FROM oxbatch_job_execution), 0),
                 coalesce((SELECT max(id) FROM oxbatch_job_execution), 0)",
            &[],
        )
        .await?;
    let (oldest, newest): (i64, i64) = (bounds.try_get(0)?, bounds.try_get(1)?);
    let (oldest, down_to) = search_down_to(page, range, (oldest, newest));
    let dialect = Dialect { down_to: Some(down_to), ..dialect() };
    Ok(Way { dialect, page, looked_at: Some((down_to, oldest)) })
}

/// Text with a NUL is the name of nothing: PostgreSQL cannot even be asked for it.
fn is_no_name(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.contains('\0'))
}

/// The dialect of a list.
pub(super) fn dialect() -> Dialect {
    // Letters beyond ASCII stay as they are, as in the other database. The names of jobs are few: each is compared once.
    let text = [
        " AND (strpos(lower(exit_message COLLATE \"C\"), ",
        ") > 0 OR job_name = ANY (ARRAY(
             WITH RECURSIVE job (name) AS (
                 (SELECT job_name FROM oxbatch_job_instance ORDER BY job_name LIMIT 1)
                 UNION ALL
                 SELECT (SELECT job_name FROM oxbatch_job_instance WHERE job_name > job.name
                     ORDER BY job_name LIMIT 1)
                 FROM job WHERE job.name IS NOT NULL)
             SELECT name FROM job WHERE strpos(lower(name COLLATE \"C\"), ",
        ") > 0)))",
    ];
    let table = "oxbatch_job_execution";
    let ids = [" AND id = ANY (string_to_array(", ", ',')::bigint[])"];
    Dialect {
        sign: '$',
        table,
        order: "id",
        by_keys: true,
        branch: "(",
        ids,
        text,
        instances: None,
        down_to: None,
        create_time: "(create_time + interval '0')",
    }
}

/// A value with the type by which it is bound.
pub(super) fn typed(value: &Value) -> (&(dyn ToSql + Sync), Type) {
    match value {
        Value::Number(number) => (number, Type::INT8),
        Value::Text(text) => (text, Type::TEXT),
        Value::Time(time) => (time, Type::TIMESTAMPTZ),
        Value::Double(double) => (double, Type::FLOAT8),
    }
}

/// The ids among which a list by time is found: a look into the index on times for each bound.
async fn id_range(session: &Session, filter: &ExecutionFilter) -> Result<IdRange, StoreError> {
    let noted = match filter.from.is_some() || filter.to.is_some() {
        true => session.one("SELECT backstep FROM oxbatch_time_order", &[]).await?.try_get(0)?,
        false => 0,
    };
    let Some(bounds) = bounding_times(filter, noted) else { return Ok(IdRange::default()) };
    let row = session
        .one(
            "SELECT (SELECT id FROM oxbatch_job_execution WHERE create_time < $1
                     ORDER BY create_time DESC, id DESC LIMIT 1),
                 (SELECT id FROM oxbatch_job_execution WHERE create_time >= $2 ORDER BY create_time, id LIMIT 1)",
            &[&bounds.from, &bounds.to],
        )
        .await?;
    Ok(IdRange { above: row.try_get(0)?, below: row.try_get(1)? })
}

pub(super) async fn steps(session: &Session, id: ExecutionId) -> Result<Vec<StepExecution>, StoreError> {
    let sql =
        concat!("SELECT ", step_columns!(), " FROM oxbatch_step_execution WHERE job_execution_id = $1 ORDER BY id");
    session.query(sql, &[&id.0]).await?.iter().map(rows::step).collect()
}

pub(super) async fn skips(
    session: &Session,
    id: StepExecutionId,
    after: Option<i64>,
    limit: u32,
) -> Result<SkipPage, StoreError> {
    if session.optional("SELECT 1 FROM oxbatch_step_execution WHERE id = $1", &[&id.0]).await?.is_none() {
        return Err(RepositoryError::NotFound { what: Missing::StepExecution, id: id.0 }.into());
    }
    let sql = concat!(
        "SELECT ",
        skip_columns!(),
        " FROM oxbatch_skipped_item WHERE step_execution_id = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    let found = session.query(sql, &[&id.0, &after.unwrap_or(0), &rows_to_read(limit)]).await?;
    Ok(SkipPage::of(found.iter().map(rows::skip).collect::<Result<_, _>>()?, limit))
}

pub(super) async fn instance(session: &Session, id: InstanceId) -> Result<Option<JobInstance>, StoreError> {
    let sql = concat!("SELECT ", instance_columns!(), " FROM oxbatch_job_instance WHERE id = $1");
    session.optional(sql, &[&id.0]).await?.as_ref().map(rows::instance).transpose()
}

pub(super) async fn instances(
    session: &Session,
    filter: &InstanceFilter,
    page: PageRequest,
) -> Result<InstancePage, StoreError> {
    if is_no_name(filter.job_name.as_deref()) {
        return Ok(InstancePage { instances: Vec::new(), next: None });
    }
    let (before, limit) = (page.upper_bound(), page.rows_to_read());
    let found = match &filter.job_name {
        Some(job_name) => {
            let sql = concat!(
                "SELECT ",
                instance_columns!(),
                " FROM oxbatch_job_instance WHERE id < $1 AND job_name = $3 ORDER BY id DESC LIMIT $2"
            );
            session.list(sql, &[(&before, Type::INT8), (&limit, Type::INT8), (job_name, Type::TEXT)]).await?
        }
        None => {
            let sql = concat!(
                "SELECT ",
                instance_columns!(),
                " FROM oxbatch_job_instance WHERE id < $1 ORDER BY id DESC LIMIT $2"
            );
            session.list(sql, &[(&before, Type::INT8), (&limit, Type::INT8)]).await?
        }
    };
    Ok(InstancePage::of(found.iter().map(rows::instance).collect::<Result<_, _>>()?, page.limit))
}

pub(super) async fn newest_executions(
    session: &Session,
    instances: &[InstanceId],
) -> Result<Vec<JobExecution>, StoreError> {
    let sql = concat!(
        "SELECT ",
        execution_columns!(),
        " FROM oxbatch_job_execution WHERE id = ANY (ARRAY(
             SELECT (SELECT of.id FROM oxbatch_job_execution AS of WHERE of.job_instance_id = wanted
                 ORDER BY of.id DESC LIMIT 1)
             FROM unnest($1::bigint[]) AS wanted))"
    );
    let ids: Vec<i64> = instances.iter().map(|id| id.0).collect();
    let found = session.query(sql, &[&ids]).await?;
    found.iter().map(rows::execution).collect()
}

pub(super) async fn instance_count(session: &Session, filter: &InstanceFilter) -> Result<i64, StoreError> {
    let found = match &filter.job_name {
        name if is_no_name(name.as_deref()) => return Ok(0),
        Some(job_name) => {
            let sql = "SELECT count(*) FROM oxbatch_job_instance WHERE job_name = $1";
            session.list(sql, &[(job_name, Type::TEXT)]).await?
        }
        None => session.list("SELECT count(*) FROM oxbatch_job_instance", &[]).await?,
    };
    found.first().map_or(Ok(0), |row| Ok(row.try_get(0)?))
}

pub(super) async fn instance_parameters(
    session: &Session,
    id: InstanceId,
) -> Result<Vec<InstanceParameter>, StoreError> {
    // In the order of the bytes, as the model has it, whatever the database's own order of letters is.
    let found = session
        .query(
            "SELECT id, job_instance_id, key_name, string_value, string_escaped, long_value, double_value, date_value,
                 date_only, identifying, secret
             FROM oxbatch_job_instance_parameter WHERE job_instance_id = $1 ORDER BY key_name COLLATE \"C\"",
            &[&id.0],
        )
        .await?;
    found.iter().map(rows::parameter).collect()
}

pub(super) async fn job_counts(session: &Session, job_name: &str) -> Result<StatusCounts, StoreError> {
    let sql = "SELECT status, count(*) FROM oxbatch_job_execution WHERE job_name = $1 GROUP BY status";
    let found = session.list(sql, &[(&job_name, Type::TEXT)]).await?;
    let counts = found.iter().map(|row| Ok((rows::status(row, 0, 0)?, row.try_get(1)?)));
    let mut counts: Vec<_> = counts.collect::<Result<_, StoreError>>()?;
    counts.sort_unstable();
    Ok(counts)
}

pub(super) async fn workload(session: &Session) -> Result<Vec<Workload>, StoreError> {
    let sql = "SELECT job_name, status, count(*), min(create_time) FROM oxbatch_job_execution
               WHERE status IN ('STARTING', 'STARTED', 'STOPPING')
               GROUP BY job_name, status ORDER BY job_name COLLATE \"C\", status";
    let row = |row: &tokio_postgres::Row| {
        let (job_name, status) = (row.try_get(0)?, rows::status(row, 1, 0)?);
        Ok(Workload { job_name, status, count: row.try_get(2)?, oldest: row.try_get(3)? })
    };
    session.query(sql, &[]).await?.iter().map(row).collect()
}

pub(super) async fn health(session: &Session) -> Result<Health, StoreError> {
    Ok(Health { migration: migrate::applied(session).await?, expected_migration: migrate::NEWEST })
}
