//! Lists: the statuses that are searched one by one, and the way by which a span of time is found.

use jiff::Timestamp;

use crate::execution::Status;
use crate::repository::{ExecutionFilter, PageRequest};

/// The number of executions of a span of time up to which it is cheaper to sort them than to search for them from the
/// newest on.
pub const NARROW_SPAN: i64 = 10_000;

/// The number of ids that a search looks at for a page, where no index finds what it searches for.
pub const SEARCHED_AT_ONCE: i64 = 20_000;

/// The number of instances with a parameter up to which their executions are looked up one by one.
pub const FEW_INSTANCES: i64 = 1_000;

/// Characters of a text by which an index finds it.
pub const INDEXED_CHARACTERS: usize = 100;

/// `true` if a list searches for what only the rows themselves tell.
pub fn is_search(filter: &ExecutionFilter) -> bool {
    !is_narrow(filter) && (filter.text.is_some() || !filter.parameters.is_empty())
}

/// `true` if a filter names the few executions among which it looks.
fn is_narrow(filter: &ExecutionFilter) -> bool {
    filter.instance_id.is_some() || !filter.ids.is_empty()
}

/// The smallest id that a page of a search looks at; `newest` is the greatest that there is.
pub fn search_down_to(page: PageRequest, newest: i64) -> i64 {
    page.upper_bound().min(newest.saturating_add(1)) - SEARCHED_AT_ONCE
}

/// A span of creation times, open where it has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// The question by which the way of a list is chosen: the index on times, or a walk from the newest on, which passes
/// over all that is newer than the span, and for a rare job also over all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeQuestion {
    /// The index on times is better where this span has fewer than [`NARROW_SPAN`] executions,
    pub span: Span,
    /// or where this one has as many: what is newer, if the page begins there.
    pub newer: Option<Span>,
}

/// The question of a list, or `None` where it is walked from the newest on in any case.
pub fn time_question(filter: &ExecutionFilter, page: PageRequest) -> Option<TimeQuestion> {
    if (filter.from.is_none() && filter.to.is_none()) || is_narrow(filter) {
        return None;
    }
    // A later page begins inside the span, and the index of a job passes over the newer ones of that job alone.
    let begins_in_it = page.before.is_some() || filter.job_name.is_some() || filter.to.is_none();
    let newer = (!begins_in_it).then_some(Span { from: filter.to, to: None });
    Some(TimeQuestion { span: Span { from: filter.from, to: filter.to }, newer })
}

/// The statuses of a filter, each once and in the order of their names: each has a branch of its own, which walks its
/// index from the newest on. `None` alone for a filter that takes any.
pub fn branches(filter: &ExecutionFilter) -> Vec<Option<&'static str>> {
    let mut statuses: Vec<_> = filter.statuses.iter().copied().map(Status::as_str).map(Some).collect();
    statuses.sort_unstable();
    statuses.dedup();
    if statuses.is_empty() {
        statuses.push(None);
    }
    statuses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::{ExecutionId, InstanceId};

    #[test]
    fn a_span_is_asked_for_where_the_way_to_it_matters() {
        let time = |second| Some(Timestamp::from_second(second).unwrap());
        let filter = ExecutionFilter::default;
        let page = |before| PageRequest { before, limit: 10 };
        let (from, to) = (time(1), time(2));
        let newer = Some(Span { from: to, to: None });
        // Filter, begin of the page, whether there is a question, and the newer span.
        let cases = [
            (filter(), None, false, None),
            (ExecutionFilter { from, instance_id: Some(InstanceId(1)), ..filter() }, None, false, None),
            (ExecutionFilter { from, ids: vec![ExecutionId(1)], ..filter() }, None, false, None),
            (ExecutionFilter { from, ..filter() }, None, true, None),
            (ExecutionFilter { from, to, ..filter() }, None, true, newer),
            (ExecutionFilter { to, ..filter() }, None, true, newer),
            (ExecutionFilter { to, ..filter() }, Some(5), true, None),
            (ExecutionFilter { to, job_name: Some("Job".to_owned()), ..filter() }, None, true, None),
        ];
        for (filter, before, is_asked, newer) in cases {
            let question = time_question(&filter, page(before));
            assert_eq!(question.is_some(), is_asked, "{filter:?}");
            if let Some(question) = question {
                assert_eq!((question.span, question.newer), (Span { from: filter.from, to: filter.to }, newer));
            }
        }
    }

    #[test]
    fn each_status_has_one_branch() {
        let statuses = vec![Status::Stopped, Status::Failed, Status::Stopped];
        let filter = ExecutionFilter { statuses, ..ExecutionFilter::default() };
        assert_eq!(branches(&filter), [Some("FAILED"), Some("STOPPED")]);
        assert_eq!(branches(&ExecutionFilter::default()), [None]);
    }
}
