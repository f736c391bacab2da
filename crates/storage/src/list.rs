//! The statement of a list of executions: static pieces, everything else bound.

use jiff::Timestamp;
use oxbatch_core::job::DateTime;
use oxbatch_core::repository::rules::list::{FEW_INSTANCES, INDEXED_CHARACTERS, branches};
use oxbatch_core::repository::{ExecutionFilter, PageRequest, ParameterMatch};

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

    /// The executions of instances with a parameter.
    fn and_parameter(&mut self, wanted: &ParameterMatch) {
        let begin = " AND EXISTS (SELECT 1 FROM oxbatch_job_instance_parameter AS parameter
             WHERE parameter.job_instance_id = oxbatch_job_execution.job_instance_id AND NOT parameter.secret
                 AND parameter.key_name = ";
        self.push(begin, text(&wanted.name));
        self.push(" AND (parameter.string_value = ", text(&wanted.value));
        let ReadAs { number, double, date } = ReadAs::of(&wanted.value);
        self.and(" OR parameter.long_value = ", number);
        self.and(" OR parameter.double_value = ", double);
        self.and(" OR parameter.date_value = ", date);
        self.sql.push_str("))");
    }

    /// The ids of the instances with a parameter, each found by an index.
    fn instances_with(&mut self, wanted: &ParameterMatch) {
        const OF: &str = "SELECT job_instance_id FROM oxbatch_job_instance_parameter WHERE NOT secret AND key_name = ";
        let prefix: String = wanted.value.chars().take(INDEXED_CHARACTERS).collect();
        self.push(OF, text(&wanted.name));
        self.push(" AND substr(string_value, 1, 100) = ", text(&prefix));
        self.push(" AND string_value = ", text(&wanted.value));
        let ReadAs { number, double, date } = ReadAs::of(&wanted.value);
        for (column, value) in
            [(" AND long_value = ", number), (" AND double_value = ", double), (" AND date_value = ", date)]
        {
            if let Some(value) = value {
                self.sql.push_str(" UNION ALL ");
                self.push(OF, text(&wanted.name));
                self.push(column, value);
            }
        }
    }

    fn and(&mut self, condition: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.push(condition, value);
        }
    }
}

/// A value as the types that it can be read as, besides a text.
struct ReadAs {
    number: Option<Value>,
    double: Option<Value>,
    date: Option<Value>,
}

impl ReadAs {
    fn of(value: &str) -> Self {
        let date = DateTime::parse(value).ok().map(|date| date.saturating_instant().as_microsecond());
        let double = value.parse().ok().filter(|double: &f64| double.is_finite());
        Self {
            number: value.parse().ok().map(Value::Number),
            double: double.map(Value::Double),
            date: date.map(Value::Number),
        }
    }
}

/// PostgreSQL's text holds no NUL.
fn text(text: &str) -> Value {
    Value::Text(text.replace('\0', "\u{fffd}"))
}

/// The number of instances with a parameter, as far as it matters, and its values.
pub(crate) fn count_instances(wanted: &ParameterMatch, sign: char) -> (String, Vec<Value>) {
    let mut count = Statement { sql: String::new(), values: Vec::new(), sign };
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
    const BEGIN: &str = "SELECT status, max(later), count(*), min(id) FROM (SELECT id, status,
             (SELECT later.id FROM oxbatch_job_execution AS later
                 WHERE later.job_instance_id = found.job_instance_id AND later.id > found.id
                 ORDER BY later.id DESC LIMIT 1) AS later FROM (";
    const END: &str = ") AS found) AS judged GROUP BY status, later IS NULL";
    let (rows, values) = rows("id, status, job_instance_id", filter, page, dialect);
    ([BEGIN, &rows, END].concat(), values)
}

/// The rows of a page. Each status has a branch of its own, so that each walks its index from the newest on.
fn rows(columns: &str, filter: &ExecutionFilter, page: PageRequest, dialect: &Dialect) -> (String, Vec<Value>) {
    let mut list = Statement { sql: String::new(), values: Vec::new(), sign: dialect.sign };
    let statuses = branches(filter);
    let several = statuses.len() > 1;
    for (number, status) in statuses.into_iter().enumerate() {
        list.sql.push_str(if number > 0 { " UNION ALL " } else { "" });
        list.sql.push_str(if several { dialect.branch } else { "" });
        ["SELECT ", columns, " FROM ", dialect.table].into_iter().for_each(|piece| list.sql.push_str(piece));
        list.push(" WHERE id < ", Value::Number(page.upper_bound()));
        list.and(" AND status = ", status.map(|status| Value::Text(status.to_owned())));
        list.and(" AND job_name = ", filter.job_name.clone().map(Value::Text));
        list.and(" AND job_instance_id = ", filter.instance_id.map(|id| Value::Number(id.0)));
        if !filter.ids.is_empty() {
            let ids: Vec<String> = filter.ids.iter().map(ToString::to_string).collect();
            list.push(dialect.ids[0], Value::Text(ids.join(",")));
            list.sql.push_str(dialect.ids[1]);
        }
        list.and(&format!(" AND {} >= ", dialect.create_time), filter.from.map(Value::Time));
        list.and(&format!(" AND {} < ", dialect.create_time), filter.to.map(Value::Time));
        list.and(" AND id >= ", dialect.down_to.map(Value::Number));
        if let (Some([begin, end]), Some(first)) = (dialect.instances, filter.parameters.first()) {
            list.sql.push_str(begin);
            list.instances_with(first);
            list.sql.push_str(end);
        }
        for wanted in &filter.parameters {
            list.and_parameter(wanted);
        }
        if let Some(wanted) = &filter.text {
            let wanted = text(&wanted.to_ascii_lowercase());
            list.push(dialect.text[0], wanted.clone());
            list.push(dialect.text[1], wanted);
            list.sql.push_str(dialect.text[2]);
        }
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
    use oxbatch_core::execution::{ExecutionId, InstanceId, Status};

    use super::*;

    const DIALECT: Dialect = Dialect {
        sign: '?',
        table: "executions",
        order: "id",
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
