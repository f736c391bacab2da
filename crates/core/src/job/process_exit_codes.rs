//! The table by which the exit code of a job becomes that of the process that runs it or waits for it.

use super::flow::{covers, fits};

/// The exit codes of the process for exit codes of a job: the first pattern that fits decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessExitCodes {
    entries: Vec<(String, u8)>,
}

impl ProcessExitCodes {
    /// The table of these patterns, in their order.
    pub fn new(entries: impl IntoIterator<Item = (String, u8)>) -> Self {
        Self { entries: entries.into_iter().collect() }
    }

    pub(super) fn push(&mut self, pattern: String, code: u8) {
        self.entries.push((pattern, code));
    }

    /// The patterns with their codes, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u8)> {
        self.entries.iter().map(|(pattern, code)| (pattern.as_str(), *code))
    }

    /// The code for an exit code of the job; `None` where no pattern fits.
    pub fn find(&self, exit_code: &str) -> Option<u8> {
        self.iter().find(|(pattern, _)| fits(pattern, exit_code)).map(|(_, code)| code)
    }

    /// The problem with the table: a pattern that fits nothing, or that an earlier one covers.
    pub(super) fn problem(&self) -> Option<String> {
        self.entries.iter().enumerate().find_map(|(index, (pattern, _))| {
            if pattern.is_empty() {
                return Some("process_exit_code has an empty pattern, which fits no exit code".to_owned());
            }
            let earlier = self.entries[..index].iter().find(|(earlier, _)| covers(earlier, pattern))?;
            let earlier = &earlier.0;
            Some(format!("process_exit_code '{pattern}' is never reached: '{earlier}' stands before it"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, u8)]) -> ProcessExitCodes {
        ProcessExitCodes::new(entries.iter().map(|(pattern, code)| ((*pattern).to_owned(), *code)))
    }

    #[test]
    fn the_first_pattern_that_fits_decides() {
        let table = table(&[("COMPLETED_WITH_SKIPS", 10), ("NO_?", 11), ("LATE*", 0)]);
        let found = ["COMPLETED_WITH_SKIPS", "NO_A", "LATE", "LATE_2", "COMPLETED"].map(|code| table.find(code));
        assert_eq!(found, [Some(10), Some(11), Some(0), Some(0), None]);
        assert_eq!(table.problem(), None);
    }

    #[test]
    fn a_pattern_that_cannot_decide_is_a_problem() {
        let problem = |entries| table(entries).problem().unwrap();
        assert!(problem(&[("", 1)]).contains("an empty pattern"));
        let covered = problem(&[("A*", 1), ("AB", 2)]);
        assert_eq!(covered, "process_exit_code 'AB' is never reached: 'A*' stands before it");
    }
}
