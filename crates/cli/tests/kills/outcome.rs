//! The results of a run of `NightlyOrders`: its history, its tables, its files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::harness::TestStore;

/// The first column of a query's rows, as text.
pub(crate) fn rows(store: &TestStore, sql: &str) -> Vec<String> {
    if let Some(database) = &store.database {
        return database.query(sql);
    }
    let connection = rusqlite::Connection::open(store.path("oxbatch.db")).unwrap();
    connection.busy_timeout(crate::LONG).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

pub(crate) fn number(store: &TestStore, sql: &str) -> i64 {
    rows(store, sql).remove(0).parse().unwrap()
}

/// The last round, without the ids of its executions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Status and exit code of the last execution, and of its main part.
    end: Vec<String>,
    /// The flow history.
    history: Vec<String>,
    /// The counters of each step over all its attempts, and how often it was COMPLETED.
    steps: Vec<String>,
    /// The items that were skipped.
    skips: Vec<String>,
    /// The files by name.
    files: BTreeMap<String, String>,
}

const OF_ROUND: &str = "job_instance_id = (SELECT max(id) FROM oxbatch_job_instance)";

impl Outcome {
    pub(crate) fn of(store: &TestStore, output: &Path) -> Self {
        let end = format!(
            "SELECT status || ' ' || exit_code || ' ' || coalesce(main_status, '') || ' ' || coalesce(main_exit_code, '')
             FROM oxbatch_job_execution WHERE {OF_ROUND} ORDER BY id DESC LIMIT 1"
        );
        let history = format!(
            "SELECT position || ' ' || element || '#' || iteration || ' ' || status || ' ' || exit_code || ' ' || taken
                 || ' ' || coalesce(target, '') || ' ' || coalesce(taken_exit_code, '')
             FROM oxbatch_flow_entry WHERE {OF_ROUND} ORDER BY position"
        );
        let steps = format!(
            "SELECT step_name || ' read ' || sum(read_count) || ' written ' || sum(write_count) || ' filtered '
                 || sum(filter_count) || ' skipped ' || sum(process_skip_count) || ' completed '
                 || sum(CASE status WHEN 'COMPLETED' THEN 1 ELSE 0 END)
             FROM oxbatch_step_execution WHERE {OF_ROUND} GROUP BY step_name ORDER BY step_name"
        );
        let skips = format!(
            "SELECT i.phase || ' ' || i.position || ' ' || i.error FROM oxbatch_skipped_item i
             JOIN oxbatch_step_execution s ON s.id = i.step_execution_id WHERE s.{OF_ROUND}"
        );
        let mut skips = rows(store, &skips);
        skips.sort_unstable();
        let files = std::fs::read_dir(output).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), without_ids(&text))
        });
        Self {
            end: rows(store, &end),
            history: rows(store, &history),
            steps: rows(store, &steps),
            skips,
            files: files.collect(),
        }
    }

    /// It is what the sample comes to: nothing can be compared with an empty outcome.
    pub(crate) fn check(&self) {
        assert_eq!(self.end, ["COMPLETED COMPLETED COMPLETED "]);
        let names: Vec<_> = self.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["nightly-report.txt", "orders.csv", "published-orders.csv", "review.txt"]);
        assert_eq!((self.history.len(), self.steps.len()), (4, 4), "{self:?}");
        assert!(!self.skips.is_empty());
    }
}

/// The reports name the execution that wrote them.
fn without_ids(text: &str) -> String {
    let mut stable = text.to_owned();
    for mark in ["execution ", "oxbatch skips "] {
        if let Some(at) = stable.find(mark).map(|at| at + mark.len()) {
            let digits = stable[at..].bytes().take_while(u8::is_ascii_digit).count();
            stable.replace_range(at..at + digits, "#");
        }
    }
    stable
}
