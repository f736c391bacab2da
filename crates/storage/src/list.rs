//! The statement of a list of executions: static pieces, everything else bound.

use jiff::Timestamp;
use oxbatch_core::repository::rules::list::branches;
use oxbatch_core::repository::{ExecutionFilter, PageRequest};

use crate::columns::execution_columns;

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(i64),
    Text(String),
    Time(Timestamp),
}

/// The differences between the two databases.
pub(crate) struct Dialect {
    /// The sign before the number of a bound value.
    pub(crate) sign: char,
    /// The table, with what leads the planner.
    pub(crate) table: &'static str,
    /// The order of the rows of a branch.
    pub(crate) order: &'static str,
    /// The begin of a branch with an order of its own, which a bracket ends.
    pub(crate) branch: &'static str,
}

struct Statement {
    sql: String,
    values: Vec<Value>,
    sign: char,
}

impl Statement {
    /// Writes a piece of the statement, and binds the value that stands behind it.
    fn push(&mut self, piece: &str, value: Value) {
        self.sql.push_str(piece);
        self.values.push(value);
        self.sql.push(self.sign);
        self.sql.push_str(&self.values.len().to_string());
    }

    fn and(&mut self, condition: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.push(condition, value);
        }
    }
}

/// The statement of a page, and its values. Each status has a branch of its own, so that each walks its index from the
/// newest on.
pub(crate) fn select_executions(
    filter: &ExecutionFilter,
    page: PageRequest,
    dialect: &Dialect,
) -> (String, Vec<Value>) {
    let mut list = Statement { sql: String::new(), values: Vec::new(), sign: dialect.sign };
    let statuses = branches(filter);
    let several = statuses.len() > 1;
    for (number, status) in statuses.into_iter().enumerate() {
        list.sql.push_str(if number > 0 { " UNION ALL " } else { "" });
        list.sql.push_str(if several { dialect.branch } else { "" });
        list.sql.push_str(concat!("SELECT ", execution_columns!(), " FROM "));
        list.sql.push_str(dialect.table);
        list.push(" WHERE id < ", Value::Number(page.upper_bound()));
        list.and(" AND status = ", status.map(|status| Value::Text(status.to_owned())));
        list.and(" AND job_name = ", filter.job_name.clone().map(Value::Text));
        list.and(" AND job_instance_id = ", filter.instance_id.map(|id| Value::Number(id.0)));
        list.and(" AND create_time >= ", filter.from.map(Value::Time));
        list.and(" AND create_time < ", filter.to.map(Value::Time));
        list.sql.push_str(" ORDER BY ");
        list.sql.push_str(dialect.order);
        list.push(" DESC LIMIT ", Value::Number(page.rows_to_read()));
        list.sql.push_str(if several { ")" } else { "" });
    }
    if several {
        list.push(" ORDER BY id DESC LIMIT ", Value::Number(page.rows_to_read()));
    }
    (list.sql, list.values)
}

#[cfg(test)]
mod tests {
    use oxbatch_core::execution::{InstanceId, Status};

    use super::*;

    const DIALECT: Dialect = Dialect { sign: '?', table: "executions", order: "id", branch: "(" };

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
        };
        let (sql, values) = shape(&all, Some(9));
        assert_eq!(
            sql,
            "SELECT * FROM executions WHERE id < ?1 AND status = ?2 AND job_name = ?3 AND job_instance_id = ?4 \
             AND create_time >= ?5 AND create_time < ?6 ORDER BY id DESC LIMIT ?7"
        );
        let text = |text: &str| Value::Text(text.to_owned());
        let (number, time) = (Value::Number, Value::Time(time));
        assert_eq!(values, [number(9), text("FAILED"), text("Job"), number(7), time.clone(), time, number(3)]);
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
