//! Lists and details: keyset pages over indexes, never OFFSET.

use jiff::Timestamp;
use oxbatch_core::execution::{
    ExecutionId, InstanceId, JobExecution, JobInstance, StepExecution, StepExecutionId, StoredSkip,
};
use oxbatch_core::repository::{
    ExecutionFilter, ExecutionPage, Health, InstanceFilter, InstancePage, InstanceParameter, JobSummary, PageRequest,
    RepositoryError, SkipPage,
};
use tokio_postgres::types::{ToSql, Type};

use super::error::StoreError;
use super::session::Session;
use super::sql::{execution_columns, skip_columns, step_columns};
use super::{migrate, rows};

/// Executions of a time span up to which it is cheaper to sort them than to search for them from the newest on.
const NARROW_SPAN: i64 = 10_000;

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
    let by_time = is_better_by_time(session, filter, page).await?;
    let (sql, values) = select_executions(filter, page, by_time);
    let values: Vec<_> = values.iter().map(Value::typed).collect();
    let rows = session.list(&sql, &values).await?;
    let mut executions: Vec<JobExecution> = rows.iter().map(rows::execution).collect::<Result<_, _>>()?;
    let next = cut(&mut executions, page.limit).map(|execution| execution.id.0);
    Ok(ExecutionPage { executions, next })
}

/// Text with a NUL is the name of nothing: PostgreSQL cannot even be asked for it.
fn is_no_name(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.contains('\0'))
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

fn row_limit(page: PageRequest) -> i64 {
    i64::from(page.limit.max(1)) + 1
}

/// A bound value of a list.
#[derive(Debug)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    Time(Timestamp),
}

impl Value {
    pub(super) fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Number(number) => (number, Type::INT8),
            Self::Text(text) => (text, Type::TEXT),
            Self::Time(time) => (time, Type::TIMESTAMPTZ),
        }
    }
}

/// The statement of a list: static pieces, everything else bound. Each status has a branch of its own, so that each
/// walks its index from the newest on.
pub(super) fn select_executions(filter: &ExecutionFilter, page: PageRequest, by_time: bool) -> (String, Vec<Value>) {
    let mut statuses: Vec<Option<&'static str>> = filter.statuses.iter().map(|status| Some(status.as_str())).collect();
    statuses.sort_unstable();
    statuses.dedup();
    if statuses.is_empty() {
        statuses.push(None);
    }
    // An order that no index has leaves the planner the index on times.
    let order = if by_time { " ORDER BY id + 0 DESC LIMIT $" } else { " ORDER BY id DESC LIMIT $" };
    let (mut sql, mut values) = (String::new(), Vec::new());
    let branches = statuses.len();
    for (number, status) in statuses.into_iter().enumerate() {
        if number > 0 {
            sql.push_str(" UNION ALL ");
        }
        if branches > 1 {
            sql.push('(');
        }
        sql.push_str(concat!("SELECT ", execution_columns!(), " FROM oxbatch_job_execution WHERE id < $"));
        bind(&mut sql, &mut values, Value::Number(page.before.unwrap_or(i64::MAX)));
        let mut and = |condition: &str, value: Option<Value>| {
            if let Some(value) = value {
                sql.push_str(condition);
                bind(&mut sql, &mut values, value);
            }
        };
        and(" AND status = $", status.map(|status| Value::Text(status.to_owned())));
        and(" AND job_name = $", filter.job_name.clone().map(Value::Text));
        and(" AND job_instance_id = $", filter.instance_id.map(|id| Value::Number(id.0)));
        and(" AND create_time >= $", filter.from.map(Value::Time));
        and(" AND create_time < $", filter.to.map(Value::Time));
        sql.push_str(order);
        bind(&mut sql, &mut values, Value::Number(row_limit(page)));
        if branches > 1 {
            sql.push(')');
        }
    }
    if branches > 1 {
        sql.push_str(" ORDER BY id DESC LIMIT $");
        bind(&mut sql, &mut values, Value::Number(row_limit(page)));
    }
    (sql, values)
}

/// Binds a value, and writes its number.
fn bind(sql: &mut String, values: &mut Vec<Value>, value: Value) {
    values.push(value);
    sql.push_str(&values.len().to_string());
}

/// Whether the index on times finds a span faster than a walk from the newest on, which passes over all that is newer
/// than the span, and for a rare job also over all of it. Looks at a bounded number of rows.
async fn is_better_by_time(session: &Session, filter: &ExecutionFilter, page: PageRequest) -> Result<bool, StoreError> {
    if (filter.from.is_none() && filter.to.is_none()) || filter.instance_id.is_some() {
        return Ok(false);
    }
    if !reaches(session, filter.from, filter.to).await? {
        return Ok(true);
    }
    // A later page begins inside the span, and the index of a job passes over the newer ones of that job alone.
    let begins_there = page.before.is_some() || filter.job_name.is_some() || filter.to.is_none();
    Ok(!begins_there && reaches(session, filter.to, None).await?)
}

/// Whether a span holds so many executions that it is no narrow one.
async fn reaches(session: &Session, from: Option<Timestamp>, to: Option<Timestamp>) -> Result<bool, StoreError> {
    let found: i64 = session
        .one(
            "SELECT count(*) FROM (SELECT 1 FROM oxbatch_job_execution
                 WHERE create_time >= coalesce($1::timestamptz, '-infinity')
                     AND create_time < coalesce($2::timestamptz, 'infinity') LIMIT $3) AS span",
            &[&from, &to, &NARROW_SPAN],
        )
        .await?
        .try_get(0)?;
    Ok(found >= NARROW_SPAN)
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
        return Err(RepositoryError::NotFound { what: "step execution", id: id.0 }.into());
    }
    let sql = concat!(
        "SELECT ",
        skip_columns!(),
        " FROM oxbatch_skipped_item WHERE step_execution_id = $1 AND id > $2 ORDER BY id LIMIT $3"
    );
    let found = session.query(sql, &[&id.0, &after.unwrap_or(0), &(i64::from(limit) + 1)]).await?;
    let mut skips: Vec<StoredSkip> = found.iter().map(rows::skip).collect::<Result<_, _>>()?;
    let next = cut(&mut skips, limit).map(|skip| skip.id);
    Ok(SkipPage { skips, next })
}

pub(super) async fn instance(session: &Session, id: InstanceId) -> Result<Option<JobInstance>, StoreError> {
    let sql = "SELECT id, job_name, job_key, create_time FROM oxbatch_job_instance WHERE id = $1";
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
    let (before, limit) = (page.before.unwrap_or(i64::MAX), row_limit(page));
    let found = match &filter.job_name {
        Some(job_name) => {
            let sql = "SELECT id, job_name, job_key, create_time FROM oxbatch_job_instance
                 WHERE id < $1 AND job_name = $3 ORDER BY id DESC LIMIT $2";
            session.list(sql, &[(&before, Type::INT8), (&limit, Type::INT8), (job_name, Type::TEXT)]).await?
        }
        None => {
            let sql = "SELECT id, job_name, job_key, create_time FROM oxbatch_job_instance
                 WHERE id < $1 ORDER BY id DESC LIMIT $2";
            session.list(sql, &[(&before, Type::INT8), (&limit, Type::INT8)]).await?
        }
    };
    let mut instances: Vec<JobInstance> = found.iter().map(rows::instance).collect::<Result<_, _>>()?;
    let next = cut(&mut instances, page.limit).map(|instance| instance.id.0);
    Ok(InstancePage { instances, next })
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

pub(super) async fn job_summary(session: &Session, job_name: &str) -> Result<JobSummary, StoreError> {
    let last = concat!(
        "SELECT ",
        execution_columns!(),
        " FROM oxbatch_job_execution WHERE job_name = $1 ORDER BY id DESC LIMIT 1"
    );
    let last = session.list(last, &[(&job_name, Type::TEXT)]).await?;
    let last_execution = last.first().map(rows::execution).transpose()?;
    let sql = "SELECT status, count(*) FROM oxbatch_job_execution WHERE job_name = $1 GROUP BY status";
    let found = session.list(sql, &[(&job_name, Type::TEXT)]).await?;
    let counts = found.iter().map(|row| Ok((rows::status(row, 0, 0)?, row.try_get(1)?)));
    let mut counts: Vec<_> = counts.collect::<Result<_, StoreError>>()?;
    counts.sort_unstable();
    Ok(JobSummary { last_execution, counts })
}

pub(super) async fn health(session: &Session) -> Result<Health, StoreError> {
    Ok(Health { migration: migrate::applied(session).await?, expected_migration: migrate::NEWEST })
}
