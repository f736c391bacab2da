//! Fills a repository fast: each row is a copy of one of a real launch, made by the database itself.

use std::fmt::Write as _;

use crate::BoxError;

/// Jobs that share the history evenly.
pub(super) const JOBS: i64 = 4;
/// Id of the instance and of the execution that are copied: the first of an empty repository.
pub(super) const PATTERN: i64 = 1;
/// The parameter `number` of the pattern; its copies have 1, 2, 3 …
pub(super) const NUMBER: i64 = -1;

pub(super) fn job_name(number: i64) -> String {
    format!("Nightly{}", number % JOBS)
}

/// Where the two databases say the same differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// The value of a column of a copy, where it differs from the pattern's. `n` is the number of the copy.
#[derive(Debug, Clone, Copy)]
enum Value {
    /// The id of the pattern and the number.
    Id,
    /// Nothing is said: the database counts.
    Counted,
    /// As many seconds earlier as there are newer ones.
    Time,
    /// As random as the hash that it stands for.
    Key,
    Expression(&'static str),
}

/// The copies of a table's rows.
pub(super) struct Copies {
    pub(super) table: &'static str,
    /// The column that names the pattern.
    of: &'static str,
    values: &'static [(&'static str, Value)],
}

const JOB_NAME: Value = Value::Expression("'Nightly' || (n % 4)");
/// A tenth failed, a tenth stopped, the others completed, of each job alike.
const STATUS: Value =
    Value::Expression("CASE n / 4 % 10 WHEN 0 THEN 'FAILED' WHEN 1 THEN 'STOPPED' ELSE one.status END");
const EXIT_CODE: Value =
    Value::Expression("CASE n / 4 % 10 WHEN 0 THEN 'FAILED' WHEN 1 THEN 'STOPPED' ELSE one.exit_code END");

pub(super) const COPIES: [Copies; 4] = [
    Copies {
        table: "oxbatch_job_instance",
        of: "id",
        values: &[("id", Value::Id), ("job_name", JOB_NAME), ("job_key", Value::Key), ("create_time", Value::Time)],
    },
    Copies {
        table: "oxbatch_job_instance_parameter",
        of: "job_instance_id",
        values: &[
            ("id", Value::Counted),
            ("job_instance_id", Value::Id),
            ("long_value", Value::Expression("CASE key_name WHEN 'number' THEN n ELSE one.long_value END")),
        ],
    },
    Copies {
        table: "oxbatch_job_execution",
        of: "id",
        values: &[
            ("id", Value::Id),
            ("job_instance_id", Value::Id),
            ("job_name", JOB_NAME),
            ("status", STATUS),
            ("exit_code", EXIT_CODE),
            ("create_time", Value::Time),
            ("start_time", Value::Time),
            ("end_time", Value::Time),
            ("parameters", Value::Expression("replace(one.parameters, '-1', '' || n)")),
        ],
    },
    Copies {
        table: "oxbatch_step_execution",
        of: "job_execution_id",
        values: &[
            ("id", Value::Counted),
            ("job_execution_id", Value::Id),
            ("job_instance_id", Value::Id),
            ("status", STATUS),
            ("exit_code", EXIT_CODE),
            ("start_time", Value::Time),
            ("end_time", Value::Time),
        ],
    },
];

/// Executions of the pattern's own instance, all of which failed.
pub(super) const CROWD: Copies = Copies {
    table: "oxbatch_job_execution",
    of: "id",
    values: &[
        ("id", Value::Counted),
        ("status", Value::Expression("'FAILED'")),
        ("exit_code", Value::Expression("'FAILED'")),
    ],
};

/// Asks for the names of a table's columns.
pub(super) fn columns_query(dialect: Dialect, table: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("SELECT name FROM pragma_table_info('{table}')"),
        Dialect::Postgres => format!(
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
        ),
    }
}

impl Copies {
    /// The statement that makes as many copies as are missing to `size`, oldest first.
    pub(super) fn statement(&self, dialect: Dialect, columns: &[String], size: i64) -> Result<String, BoxError> {
        if let Some((gone, _)) = self.values.iter().find(|(name, _)| !columns.iter().any(|column| column == name)) {
            return Err(format!("{} has no column {gone} any more", self.table).into());
        }
        let (mut names, mut values) = (String::new(), String::new());
        for column in columns {
            let found = self.values.iter().find(|(name, _)| name == column).map(|(_, value)| *value);
            let value = match (found, dialect) {
                (Some(Value::Counted), _) => continue,
                (None, _) => format!("one.{column}"),
                (Some(Value::Id), _) => format!("one.{column} + n"),
                (Some(Value::Expression(text)), _) => text.to_owned(),
                (Some(Value::Time), Dialect::Sqlite) => format!("one.{column} - ({size} - n) * 1000000"),
                (Some(Value::Time), Dialect::Postgres) => format!("one.{column} - ({size} - n) * interval '1 second'"),
                (Some(Value::Key), Dialect::Sqlite) => "lower(hex(randomblob(32)))".to_owned(),
                (Some(Value::Key), Dialect::Postgres) => {
                    "encode(sha256(convert_to(n::text, 'UTF8')), 'hex')".to_owned()
                }
            };
            let comma = if names.is_empty() { "" } else { ", " };
            write!(names, "{comma}{column}")?;
            write!(values, "{comma}{value}")?;
        }
        let overriding = match (dialect, self.of) {
            (Dialect::Postgres, "id") => "OVERRIDING SYSTEM VALUE",
            _ => "",
        };
        let Self { table, of, .. } = self;
        Ok(format!(
            "INSERT INTO {table} ({names}) {overriding}
             WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {size} - 1)
             SELECT {values} FROM series CROSS JOIN {table} AS one WHERE one.{of} = {PATTERN} ORDER BY n"
        ))
    }
}
