//! The pieces of the statement of a list, and the values that are bound in them.

use oxbatch_core::job::DateTime;
use oxbatch_core::repository::rules::list::INDEXED_CHARACTERS;
use oxbatch_core::repository::{ExecutionFilter, PageRequest, ParameterMatch};

use super::{Dialect, Value};

pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
    sign: char,
}

impl Statement {
    pub(super) const fn new(sign: char) -> Self {
        Self { sql: String::new(), values: Vec::new(), sign }
    }

    /// Writes a piece of the statement, and binds the value that stands behind it.
    pub(super) fn push(&mut self, piece: &str, value: Value) {
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
    pub(super) fn instances_with(&mut self, wanted: &ParameterMatch) {
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

/// The values that an execution of a branch must have.
pub(super) struct Names<'a> {
    pub(super) status: Option<&'static str>,
    pub(super) job: Option<&'a str>,
    pub(super) instance: Option<i64>,
}

impl Names<'_> {
    /// The key by which an index finds the executions: its columns in front of the id.
    pub(super) fn key(&self) -> Vec<(&'static str, Value)> {
        let [status, job, instance] = self.columns();
        match instance {
            Some(instance) => vec![instance],
            None => job.into_iter().chain(status).collect(),
        }
    }

    /// The columns of the values that are there.
    fn columns(&self) -> [Option<(&'static str, Value)>; 3] {
        let text = |text: &str| Value::Text(text.to_owned());
        [
            self.status.map(|status| ("status", text(status))),
            self.job.map(|job| ("job_name", text(job))),
            self.instance.map(|instance| ("job_instance_id", Value::Number(instance))),
        ]
    }
}

impl Statement {
    /// The ids of a page and the values of a branch, each as a condition of its own.
    pub(super) fn by_conditions(&mut self, names: &Names<'_>, page: PageRequest, dialect: &Dialect) {
        self.push(" WHERE id < ", Value::Number(page.upper_bound()));
        self.and_names(names, &[]);
        self.and(" AND id >= ", dialect.down_to.map(Value::Number));
    }

    /// The same as a range of whole keys of an index; the key of an instance says nothing of the other values.
    pub(super) fn by_key(&mut self, key: &[(&str, Value)], names: &Names<'_>, page: PageRequest, dialect: &Dialect) {
        self.compare_key(" WHERE (", key, ") < (", page.upper_bound());
        self.compare_key(" AND (", key, ") >= (", dialect.down_to.unwrap_or(i64::MIN));
        self.and_names(names, key);
    }

    /// The values of a branch that are not in a key.
    fn and_names(&mut self, names: &Names<'_>, key: &[(&str, Value)]) {
        for (column, value) in names.columns().into_iter().flatten() {
            if !key.iter().any(|(known, _)| *known == column) {
                self.push(&[" AND ", column, " = "].concat(), value);
            }
        }
    }

    fn compare_key(&mut self, begin: &str, key: &[(&str, Value)], comparison: &str, id: i64) {
        self.sql.push_str(begin);
        key.iter().for_each(|(column, _)| self.sql.extend([*column, ", "]));
        self.sql.push_str("id");
        self.sql.push_str(comparison);
        for (_, value) in key {
            self.push("", value.clone());
            self.sql.push_str(", ");
        }
        self.push("", Value::Number(id));
        self.sql.push(')');
    }

    /// The conditions that no index of a list has.
    pub(super) fn conditions(&mut self, filter: &ExecutionFilter, dialect: &Dialect) {
        if !filter.ids.is_empty() {
            let ids: Vec<String> = filter.ids.iter().map(ToString::to_string).collect();
            self.push(dialect.ids[0], Value::Text(ids.join(",")));
            self.sql.push_str(dialect.ids[1]);
        }
        self.and(&format!(" AND {} >= ", dialect.create_time), filter.from.map(Value::Time));
        self.and(&format!(" AND {} < ", dialect.create_time), filter.to.map(Value::Time));
        if let (Some([begin, end]), Some(first)) = (dialect.instances, filter.parameters.first()) {
            self.sql.push_str(begin);
            self.instances_with(first);
            self.sql.push_str(end);
        }
        for wanted in &filter.parameters {
            self.and_parameter(wanted);
        }
        if let Some(wanted) = &filter.text {
            let wanted = text(&wanted.to_ascii_lowercase());
            self.push(dialect.text[0], wanted.clone());
            self.push(dialect.text[1], wanted);
            self.sql.push_str(dialect.text[2]);
        }
    }
}
