//! Lists: the statuses that are searched one by one, and the ids among which a span of time is found.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::execution::Status;
use crate::repository::{ExecutionFilter, PageRequest};

/// The number of ids that a search looks at for a page, where no index finds what it searches for.
pub const SEARCHED_AT_ONCE: i64 = 10_000;

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

/// The smallest id that a search looks at, and the smallest that a page of it does; `all` are the smallest and the
/// greatest that there are.
pub fn search_down_to(page: PageRequest, range: IdRange, all: (i64, i64)) -> (i64, i64) {
    let (oldest, newest) = (range.down_to().unwrap_or(i64::MIN).max(all.0), all.1);
    (oldest, page.upper_bound().min(newest.saturating_add(1)) - SEARCHED_AT_ONCE)
}

/// The time by which a creation time may lie before that of an execution with a smaller id, without being noted:
/// launches that are committed side by side, and clocks of nodes that differ a little. Where one lies further back, the
/// repository keeps by how much.
pub const UNNOTED_BACKSTEP: Duration = Duration::from_secs(60);

/// The microseconds to be noted when an execution is created: by how much the newest one before it is newer, if that is
/// much.
pub fn backstep_to_note(create_time: Timestamp, newest: Option<Timestamp>) -> Option<i64> {
    let backstep = newest?.duration_since(create_time);
    let microseconds = i64::try_from(backstep.as_micros()).unwrap_or(i64::MAX);
    (microseconds > micros(UNNOTED_BACKSTEP)).then_some(microseconds)
}

/// The creation times by which the ids of a list are bounded. The last execution before `from` has a smaller id than
/// all that are in the list, and the first at or after `to` a greater one: of two executions the one with the smaller
/// id is created at most the back-step later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundingTimes {
    /// The bound of the smallest id.
    pub from: Option<Timestamp>,
    /// The bound of the greatest id.
    pub to: Option<Timestamp>,
}

/// The bounding times of a list; `None` where it is not bounded by time, or short. `noted` is the greatest back-step in
/// microseconds that was noted.
pub fn bounding_times(filter: &ExecutionFilter, noted: i64) -> Option<BoundingTimes> {
    if (filter.from.is_none() && filter.to.is_none()) || is_narrow(filter) {
        return None;
    }
    let backstep = SignedDuration::from_micros(noted.max(micros(UNNOTED_BACKSTEP)));
    Some(BoundingTimes {
        from: filter.from.map(|from| from.checked_sub(backstep).unwrap_or(Timestamp::MIN)),
        to: filter.to.map(|to| to.checked_add(backstep).unwrap_or(Timestamp::MAX)),
    })
}

/// The ids of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdRange {
    /// Greater than this one.
    pub above: Option<i64>,
    /// Smaller than this one.
    pub below: Option<i64>,
}

impl IdRange {
    /// The page of a list whose ids are bounded: it begins no later than its range.
    pub fn page(self, page: PageRequest) -> PageRequest {
        let before = page.before.into_iter().chain(self.below).min();
        PageRequest { before, ..page }
    }

    /// The smallest id.
    pub fn down_to(self) -> Option<i64> {
        self.above.map(|above| above.saturating_add(1))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
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
    use crate::execution::InstanceId;

    /// The range that a repository finds by the bounding times.
    fn range(times: &[i64], filter: &ExecutionFilter) -> IdRange {
        let second = |second: &i64| Timestamp::from_second(*second).unwrap();
        let newest = |upto: usize| times[..upto].iter().max().map(second);
        let noted =
            (0..times.len()).filter_map(|at| backstep_to_note(second(&times[at]), newest(at))).max().unwrap_or(0);
        let Some(bounds) = bounding_times(filter, noted) else { return IdRange::default() };
        let ids = || times.iter().map(second).zip(0_i64..);
        let last_before = |from| ids().filter(|(time, _)| *time < from).max().map(|(_, id)| id);
        let first_from = |to| ids().filter(|(time, _)| *time >= to).min().map(|(_, id)| id);
        IdRange { above: bounds.from.and_then(last_before), below: bounds.to.and_then(first_from) }
    }

    proptest::proptest! {
        #[test]
        fn no_execution_of_a_span_is_outside_of_its_range_of_ids(
            steps in proptest::collection::vec(-500_i64..500, 1..60),
            from in proptest::option::of(0_i64..20_000),
            to in proptest::option::of(0_i64..20_000),
        ) {
            let times: Vec<i64> = steps.iter().scan(10_000, |time, step| { *time += step; Some(*time) }).collect();
            let second = |second| Timestamp::from_second(second).unwrap();
            let filter = ExecutionFilter { from: from.map(second), to: to.map(second), ..ExecutionFilter::default() };
            let range = range(&times, &filter);
            for (time, id) in times.iter().zip(0_i64..) {
                if from.is_none_or(|from| *time >= from) && to.is_none_or(|to| *time < to) {
                    proptest::prop_assert!(range.above.is_none_or(|above| id > above), "{id} {range:?} {times:?}");
                    proptest::prop_assert!(range.below.is_none_or(|below| id < below), "{id} {range:?} {times:?}");
                }
            }
        }
    }

    #[test]
    fn a_span_of_steady_times_is_bounded_closely() {
        let times: Vec<i64> = (0..1_000).map(|id| id * 10).collect();
        let second = |second| Some(Timestamp::from_second(second).unwrap());
        let filter = ExecutionFilter { from: second(5_000), to: second(6_000), ..ExecutionFilter::default() };
        let found = range(&times, &filter);
        assert_eq!(found, IdRange { above: Some(493), below: Some(606) });
        let page = |before| found.page(PageRequest { before, limit: 10 }).before;
        assert_eq!([page(None), page(Some(700)), page(Some(550))], [Some(606), Some(606), Some(550)]);
        let of_instance = ExecutionFilter { instance_id: Some(InstanceId(1)), ..filter };
        assert_eq!(range(&times, &of_instance), IdRange::default(), "its own index is short");
    }

    #[test]
    fn each_status_has_one_branch() {
        let statuses = vec![Status::Stopped, Status::Failed, Status::Stopped];
        let filter = ExecutionFilter { statuses, ..ExecutionFilter::default() };
        assert_eq!(branches(&filter), [Some("FAILED"), Some("STOPPED")]);
        assert_eq!(branches(&ExecutionFilter::default()), [None]);
    }
}
