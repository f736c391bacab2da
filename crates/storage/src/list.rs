//! The statement of a list of executions: static pieces, everything else bound.

mod statement;

use jiff::Timestamp;
use oxbatch_core::repository::rules::list::{FEW_INSTANCES, branches};
use oxbatch_core::repository::{ExecutionFilter, PageRequest, ParameterMatch};

use self::statement::{Names, Statement};
use crate::columns::execution_columns;

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(i64),
    Text(String),
    Time(Timestamp),
    Double(f64),
}

/// The differences between the two databases.
pub(crate) struct Dialect {
    /// The sign before the number of a bound value.
    pub(crate) sign: char,
    /// The table, with what leads the planner.
    pub(crate) table: &'static str,
    /// The order of the rows of a branch.
    pub(crate) order: &'static str,
    /// `true` if rows are found by comparisons of their whole keys, as an index has them in front of the ids: such a
    /// planner takes no other way, whatever it believes of how the rows are spread.
    pub(crate) by_keys: bool,
    /// The begin of a branch with an order of its own, which a bracket ends.
    pub(crate) branch: &'static str,
    /// The condition of ids: before and behind their list, which is a text with commas between them.
    pub(crate) ids: [&'static str; 2],
    /// The condition of a text: before its value, between the two of them, and behind.
    pub(crate) text: [&'static str; 3],
    /// The begin and the end of the condition by which the executions of a few instances are looked up.
    pub(crate) instances: Option<[&'static str; 2]>,
    /// The smallest id that is looked at.
    pub(crate) down_to: Option<i64>,
    /// The column of creation times, in a form that keeps the planner from its index: ids are bounded already.
    pub(crate) create_time: &'static str,
}

/// The way to the rows of a page.
pub(crate) struct Way {
    pub(crate) dialect: Dialect,
    /// The page, whose begin is bounded.
    pub(crate) page: PageRequest,
    /// The smallest id that a search looks at, and the smallest that there is.
    pub(crate) looked_at: Option<(i64, i64)>,
}

/// The number of instances with a parameter, as far as it matters, and its values.
pub(crate) fn count_instances(wanted: &ParameterMatch, sign: char) -> (String, Vec<Value>) {
    let mut count = Statement::new(sign);
    count.sql.push_str("SELECT count(*) FROM (SELECT job_instance_id FROM (");
    count.instances_with(wanted);
    count.push(") AS found LIMIT ", Value::Number(FEW_INSTANCES + 1));
    count.sql.push_str(") AS few");
    (count.sql, count.values)
}

/// The statement of a page, and its values.
pub(crate) fn select_executions(
    filter: &ExecutionFilter,
    page: PageRequest,
    dialect: &Dialect,
) -> (String, Vec<Value>) {
    rows(execution_columns!(), filter, page, dialect)
}

/// The statement that counts a page by status and by whether later executions of the same instances are there, and its
/// values. Its rows are the status, one of the later ones, the number and the smallest id.
pub(crate) fn count_executions(filter: &ExecutionFilter, page: PageRequest, dialect: &Dialect) -> (String, Vec<Value>) {
    // The newest execution is looked up once for each instance, however many of the page it has.
    const BEGIN: &str = "WITH found AS MATERIALIZED (";
    const END: &str = "),
         newest AS MATERIALIZED (
             SELECT instance, (SELECT one.id FROM oxbatch_job_execution AS one WHERE one.job_instance_id = instance
                 ORDER BY one.id DESC LIMIT 1) AS id
             FROM (SELECT DISTINCT job_instance_id AS instance FROM found) AS instances)
         SELECT status, max(later), count(*), min(id) FROM (
             SELECT found.id, found.status, CASE WHEN newest.id > found.id THEN newest.id END AS later
             FROM found JOIN newest ON newest.instance = found.job_instance_id) AS judged
         GROUP BY status, later IS NULL";
    let (rows, values) = rows("id, status, job_instance_id", filter, page, dialect);
    ([BEGIN, &rows, END].concat(), values)
}

/// The rows of a page. Each status has a branch of its own, so that each walks its index from the newest on.
fn rows(columns: &str, filter: &ExecutionFilter, page: PageRequest, dialect: &Dialect) -> (String, Vec<Value>) {
    let mut list = Statement::new(dialect.sign);
    let statuses = branches(filter);
    let several = statuses.len() > 1;
    for (number, status) in statuses.into_iter().enumerate() {
        list.sql.push_str(if number > 0 { " UNION ALL " } else { "" });
        list.sql.push_str(if several { dialect.branch } else { "" });
        ["SELECT ", columns, " FROM ", dialect.table].into_iter().for_each(|piece| list.sql.push_str(piece));
        let names = Names { status, job: filter.job_name.as_deref(), instance: filter.instance_id.map(|id| id.0) };
        let key = if dialect.by_keys && is_walked(filter, dialect) { names.key() } else { Vec::new() };
        match key.is_empty() {
            true => list.by_conditions(&names, page, dialect),
            false => list.by_key(&key, &names, page, dialect),
        }
        list.conditions(filter, dialect);
        list.sql.push_str(" ORDER BY ");
        key.iter().for_each(|(column, _)| list.sql.extend([*column, " DESC, "]));
        list.sql.push_str(dialect.order);
        list.push(" DESC LIMIT ", Value::Number(page.rows_to_read()));
        list.sql.push_str(if several { ")" } else { "" });
    }
    if several {
        list.push(" ORDER BY id DESC LIMIT ", Value::Number(page.rows_to_read()));
    }
    (list.sql, list.values)
}

/// `true` if a list walks an index from the newest on; `false` if it looks up the few that are named.
fn is_walked(filter: &ExecutionFilter, dialect: &Dialect) -> bool {
    filter.ids.is_empty() && dialect.instances.is_none()
}

#[cfg(test)]
mod tests {
    use oxbatch_core::execution::{ExecutionId, InstanceId, Status};

    use super::*;

    const DIALECT: Dialect = Dialect {
        sign: '?',
        table: "executions",
        order: "id",
        by_keys: false,
        branch: "(",
        ids: [" AND id IN (", ")"],
        text: ["", "", ""],
        instances: None,
        down_to: None,
        create_time: "create_time",
    };

    fn shape(filter: &ExecutionFilter, before: Option<i64>) -> (String, Vec<Value>) {
        let (sql, values) = select_executions(filter, PageRequest { before, limit: 2 }, &DIALECT);
        (sql.replace(execution_columns!(), "*"), values)
    }

    #[test]
    fn each_condition_is_bound_in_its_order() {
        let time = Timestamp::UNIX_EPOCH;
        let all = ExecutionFilter {
            job_name: Some("Job".to_owned()),
            statuses: vec![Status::Failed],
            from: Some(time),
            to: Some(time),
            instance_id: Some(InstanceId(7)),
            ids: vec![ExecutionId(8), ExecutionId(6)],
            ..ExecutionFilter::default()
        };
        let (sql, values) = shape(&all, Some(9));
        assert_eq!(
            sql,
            "SELECT * FROM executions WHERE id < ?1 AND status = ?2 AND job_name = ?3 AND job_instance_id = ?4 \
             AND id IN (?5) AND create_time >= ?6 AND create_time < ?7 ORDER BY id DESC LIMIT ?8"
        );
        let text = |text: &str| Value::Text(text.to_owned());
        let (number, time) = (Value::Number, Value::Time(time));
        assert_eq!(
            values,
            [number(9), text("FAILED"), text("Job"), number(7), text("8,6"), time.clone(), time, number(3)]
        );
    }

    #[test]
    fn a_planner_that_goes_by_keys_gets_the_whole_key_of_an_index() {
        let dialect = Dialect { by_keys: true, down_to: Some(3), ..DIALECT };
        let filter = ExecutionFilter {
            job_name: Some("Job".to_owned()),
            statuses: vec![Status::Failed],
            ..ExecutionFilter::default()
        };
        let page = PageRequest { before: Some(9), limit: 2 };
        let (sql, values) = select_executions(&filter, page, &dialect);
        assert_eq!(
            sql.replace(execution_columns!(), "*"),
            "SELECT * FROM executions WHERE (job_name, status, id) < (?1, ?2, ?3) \
             AND (job_name, status, id) >= (?4, ?5, ?6) ORDER BY job_name DESC, status DESC, id DESC LIMIT ?7"
        );
        let (number, text) = (Value::Number, |text: &str| Value::Text(text.to_owned()));
        let key = [text("Job"), text("FAILED")];
        let bounds = [&key[..], &[number(9)], &key[..], &[number(3), number(3)]].concat();
        assert_eq!(values, bounds);
        let narrow = ExecutionFilter { ids: vec![ExecutionId(8)], ..filter };
        let (sql, _) = select_executions(&narrow, page, &dialect);
        assert!(sql.contains(" WHERE id < ?1 AND status = ?2 AND job_name = ?3 AND id >= ?4 AND id IN (?5)"), "{sql}");
    }

    #[test]
    fn several_statuses_are_branches_of_one_list() {
        let filter = ExecutionFilter { statuses: vec![Status::Stopped, Status::Failed], ..ExecutionFilter::default() };
        let (sql, values) = shape(&filter, None);
        assert_eq!(
            sql,
            "(SELECT * FROM executions WHERE id < ?1 AND status = ?2 ORDER BY id DESC LIMIT ?3) UNION ALL \
             (SELECT * FROM executions WHERE id < ?4 AND status = ?5 ORDER BY id DESC LIMIT ?6) \
             ORDER BY id DESC LIMIT ?7"
        );
        assert_eq!(values.len(), 7);
        assert_eq!(values[0], Value::Number(i64::MAX));
    }
}
