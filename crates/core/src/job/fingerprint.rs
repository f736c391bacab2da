//! The fingerprint of a job's definition, and what a restart compares of it: the part on which the past depends.

use serde::{Deserialize, Serialize};

use super::flow::{Body, FlowGraph, WayEnd};
use crate::execution::{FlowEntry, Status, StepSummaries, StepSummary, Taken};
use crate::step::StepKind;

/// The version of the form in which fingerprints are stored.
const FORM: u32 = 1;

/// The definition of a job, as far as restarts depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    form: u32,
    elements: Vec<Print>,
}

/// An element of the flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    name: String,
    kind: Kind,
    /// The author's word on code that no fingerprint sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reader: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer: Option<String>,
    /// The elements to which it may lead, in the order in which its ways are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    targets: Vec<String>,
    /// The element to which its default way leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The kind of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Task,
    Chunk,
    Decider,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Task => "a task step",
            Self::Chunk => "a chunk step",
            Self::Decider => "a decider",
        }
    }
}

/// The parts of a chunk step, by the names of their types without paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartNames {
    pub(crate) reader: String,
    pub(crate) writer: String,
}

impl PartNames {
    pub(crate) fn of<R, W>() -> Self {
        let name = |full| without_paths(full);
        Self { reader: name(std::any::type_name::<R>()), writer: name(std::any::type_name::<W>()) }
    }
}

/// The name of a type with the last names of all paths in it: a type that has moved is the same one.
fn without_paths(full: &str) -> String {
    let mut short = String::new();
    let mut rest = full;
    while let Some(at) = rest.find(|c: char| "<>,()[]&;+ ".contains(c)) {
        let (path, tail) = rest.split_at(at);
        short.push_str(path.rsplit("::").next().unwrap_or(path));
        let mark = tail.chars().next().unwrap_or_default();
        short.push(mark);
        rest = &tail[mark.len_utf8()..];
    }
    short.push_str(rest.rsplit("::").next().unwrap_or(rest));
    short
}

/// The past of an instance, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub struct Reached<'a> {
    /// The flow history; empty for a plain sequence.
    pub entries: &'a [FlowEntry],
    /// The steps that have run.
    pub steps: &'a StepSummaries,
}

/// The differences between the definition on which the past depends and another one, as a sentence fragment; `None`
/// when they matter nothing to what was reached. Both are fingerprints as they are stored.
///
/// # Errors
/// One of them cannot be read: it was stored by a newer version.
pub fn definition_difference(past: &str, now: &str, reached: Reached<'_>) -> Result<Option<String>, serde_json::Error> {
    if past == now {
        return Ok(None);
    }
    let (past, now): (Fingerprint, Fingerprint) = (serde_json::from_str(past)?, serde_json::from_str(now)?);
    let differences: Vec<String> =
        past.elements.iter().filter_map(|element| element.difference(&now, reached)).collect();
    Ok((!differences.is_empty()).then(|| differences.join("; ")))
}

impl Fingerprint {
    pub(crate) fn of(graph: &FlowGraph) -> Self {
        let ways = graph.ways();
        let element = |element: &super::Element| {
            let (kind, version, parts) = match element.body() {
                Body::Decider(decider) => (Kind::Decider, decider.version(), None),
                Body::Step(step) if step.kind() == StepKind::Task => (Kind::Task, step.version(), None),
                Body::Step(step) => (Kind::Chunk, step.version(), step.part_names()),
            };
            let (reader, writer) = parts.map(|parts| (parts.reader, parts.writer)).unzip();
            let mut targets: Vec<String> = Vec::new();
            let mut next = None;
            for way in ways.iter().filter(|way| way.from == element.name()) {
                let target = match &way.to {
                    WayEnd::Element(to) => Some(to),
                    WayEnd::Stopped { restart_at, .. } => restart_at.as_ref(),
                    WayEnd::Completed { .. } | WayEnd::Failed { .. } => None,
                };
                if way.on.is_none() {
                    next = target.cloned();
                } else if let Some(target) = target.filter(|target| !targets.contains(target)) {
                    targets.push(target.clone());
                }
            }
            Print { name: element.name().to_owned(), kind, version, reader, writer, targets, next }
        };
        Self { form: FORM, elements: graph.elements().iter().map(element).collect() }
    }

    pub(crate) fn to_json(&self) -> String {
        // Nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn element(&self, name: &str) -> Option<&Print> {
        self.elements.iter().find(|element| element.name == name)
    }
}

impl Print {
    /// The difference to the element as it is now, where it was reached.
    fn difference(&self, now: &Fingerprint, reached: Reached<'_>) -> Option<String> {
        let Self { name, .. } = self;
        let summary = reached.steps.get(name);
        let entries = || reached.entries.iter().filter(|entry| entry.element == *name);
        if summary.is_none() && entries().next().is_none() {
            return None;
        }
        let is_finished = summary.is_none_or(|step| step.status == Status::Completed)
            || entries().any(|entry| matches!(entry.taken, Taken::To { .. }));
        let Some(current) = now.element(name) else {
            return Some(format!("'{name}', which {}, is gone", if is_finished { "has ended" } else { "has begun" }));
        };
        if current.kind != self.kind {
            return Some(format!("'{name}' was {} and is {}", self.kind.words(), current.kind.words()));
        }
        if current.version != self.version {
            let words = |version: Option<u32>| version.map_or_else(|| "none".to_owned(), |it| it.to_string());
            return Some(format!(
                "the version of '{name}' was {} and is {}",
                words(self.version),
                words(current.version)
            ));
        }
        if is_finished {
            return self.other_way(current, summary, reached);
        }
        let parts = [("reader", &self.reader, &current.reader), ("writer", &self.writer, &current.writer)];
        let changed = parts.into_iter().filter(|(_, past, now)| past != now).map(|(what, past, now)| {
            let words = |part: &Option<String>| part.clone().unwrap_or_else(|| "none".to_owned());
            format!("the {what} of '{name}' was {} and is {}", words(past), words(now))
        });
        let changed: Vec<String> = changed.collect();
        (!changed.is_empty()).then(|| changed.join(", "))
    }

    /// The way that was taken behind an element that has ended, where it is there no more.
    fn other_way(&self, now: &Self, summary: Option<&StepSummary>, reached: Reached<'_>) -> Option<String> {
        let Self { name, .. } = self;
        let led_to = |to: &str| {
            let leads = now.next.as_deref().map_or_else(|| "to the end".to_owned(), |next| format!("to '{next}'"));
            format!("the way behind '{name}' led to '{to}' and leads {leads}")
        };
        let entries = reached.entries.iter().filter(|entry| entry.element == *name);
        let mut taken = entries.filter_map(|entry| entry.taken.target()).peekable();
        if taken.peek().is_some() {
            let leads_to = |to: &&str| now.next.as_deref() == Some(*to) || now.targets.iter().any(|it| it == to);
            return taken.find(|to| !leads_to(to)).map(led_to);
        }
        // A plain sequence keeps no history: the step behind it was reached when it has run.
        let next = self.next.as_deref().filter(|next| summary.is_some() && reached.steps.contains_key(*next))?;
        (reached.entries.is_empty() && now.next.as_deref() != Some(next)).then(|| led_to(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::{ControlTotals, Counters, ExecutionContext, ExecutionId, StepExecutionId};
    use crate::item::{FunctionWriter, IteratorReader, ListReader};
    use crate::job::JobBuilder;
    use crate::step::TaskStepBuilder;
    use crate::{ChunkStep, Job, TaskStep};

    fn task(name: &str) -> TaskStepBuilder {
        TaskStep::builder(name, |_| Ok(()))
    }

    fn of(build: impl FnOnce(JobBuilder) -> JobBuilder) -> String {
        build(Job::builder("Job")).build().unwrap().fingerprint().to_owned()
    }

    fn steps(of: &[(&str, Status)]) -> StepSummaries {
        let summary = |&(name, status): &(&str, Status)| {
            let summary = StepSummary {
                step_name: name.to_owned(),
                iteration: 1,
                step_id: StepExecutionId(1),
                status,
                exit_code: None,
                exit_message: None,
                counters: Counters::default(),
                control_totals: ControlTotals::default(),
                context: ExecutionContext::default(),
            };
            (name.to_owned(), summary)
        };
        of.iter().map(summary).collect()
    }

    fn entry(element: &str, to: &str) -> FlowEntry {
        FlowEntry {
            position: 0,
            element: element.to_owned(),
            iteration: 1,
            execution_id: ExecutionId(1),
            step_id: None,
            status: Status::Completed,
            exit_code: "CODE".to_owned(),
            taken: Taken::To { element: to.to_owned() },
        }
    }

    fn told(past: &str, now: &str, reached: &[(&str, Status)]) -> Option<String> {
        definition_difference(past, now, Reached { entries: &[], steps: &steps(reached) }).unwrap()
    }

    #[test]
    fn what_was_not_reached_may_change_and_what_was_may_not() {
        let past = of(|job| job.step(task("A")).step(task("B")).step(task("C")));
        let reached = [("A", Status::Completed), ("B", Status::Failed)];
        let now = of(|job| job.step(task("A")).step(task("B")).step(task("D")).step(task("C").version(2)));
        assert_eq!(told(&past, &now, &reached), None);
        assert_eq!(told(&past, &past, &reached), None);
        for (now, difference) in [
            (of(|job| job.step(task("B")).step(task("C"))), "'A', which has ended, is gone"),
            (of(|job| job.step(task("A")).step(task("C"))), "'B', which has begun, is gone"),
            (of(|job| job.step(task("A")).decider("B", |_| Ok("X"))), "'B' was a task step and is a decider"),
            (
                of(|job| job.step(task("A").version(2)).step(task("B").version(3))),
                "the version of 'A' was none and is 2; the version of 'B' was none and is 3",
            ),
            (
                of(|job| job.step(task("A")).step(task("X")).step(task("B"))),
                "the way behind 'A' led to 'B' and leads to 'X'",
            ),
        ] {
            let told = told(&past, &now, &reached).unwrap_or_default();
            assert!(told.contains(difference), "{told} / {difference}");
        }
    }

    #[test]
    fn the_parts_of_a_step_that_is_resumed_are_compared_and_those_of_a_complete_one_are_not() {
        let writer = || FunctionWriter::new(|_: &[i32]| Ok(()));
        let past = of(|job| {
            job.step(ChunkStep::builder("Load").reader(|_| Ok(ListReader::new([1]))).writer(move |_| Ok(writer())))
        });
        let now = of(|job| {
            job.step(ChunkStep::builder("Load").reader(|_| Ok(IteratorReader::new(0..3))).writer(move |_| Ok(writer())))
        });
        let difference = told(&past, &now, &[("Load", Status::Failed)]).unwrap();
        assert!(
            difference.starts_with("the reader of 'Load' was ListReader<i32> and is IteratorReader<"),
            "{difference}"
        );
        assert_eq!(told(&past, &now, &[("Load", Status::Completed)]), None);
    }

    #[test]
    fn a_transition_that_was_taken_has_to_be_there_still() {
        let past = of(|job| {
            job.decider("Day", |_| Ok("SUNDAY")).on("SUNDAY").to("Sunday").step(task("Monday")).step(task("Sunday"))
        });
        let now = of(|job| job.decider("Day", |_| Ok("SUNDAY")).step(task("Monday")).step(task("Sunday")));
        let entries = [entry("Day", "Sunday")];
        let none = steps(&[]);
        let reached = Reached { entries: &entries, steps: &none };
        let told = definition_difference(&past, &now, reached).unwrap().unwrap();
        assert_eq!(told, "the way behind 'Day' led to 'Sunday' and leads to 'Monday'");
        // By another pattern it leads there as well.
        let now = of(|job| {
            job.decider("Day", |_| Ok("SUNDAY")).on("S*").to("Sunday").step(task("Monday")).step(task("Sunday"))
        });
        assert_eq!(definition_difference(&past, &now, reached).unwrap(), None);
    }

    #[test]
    fn names_of_types_lose_their_paths() {
        for (full, short) in [
            ("alloc::vec::Vec<core::option::Option<my::Row>>", "Vec<Option<Row>>"),
            ("a::Map<b::Reader<c::Csv>, d::job::{{closure}}>", "Map<Reader<Csv>, {{closure}}>"),
            ("(a::B, &[u8])", "(B, &[u8])"),
            ("i32", "i32"),
        ] {
            assert_eq!(without_paths(full), short);
        }
    }

    /// Stored fingerprints must be read by every later version.
    #[test]
    fn the_stored_form_is_pinned() {
        let json = of(|job| {
            job.decider("Day", |_| Ok("X")).on("X").to("B").step(task("A").version(3)).then_end().step(
                ChunkStep::builder("B")
                    .reader(|_| Ok(ListReader::new([1])))
                    .writer(|_| Ok(crate::item::ListWriter::new(std::sync::Arc::default()))),
            )
        });
        assert_eq!(
            json,
            concat!(
                r#"{"form":1,"elements":[{"name":"Day","kind":"decider","targets":["B"],"next":"A"},"#,
                r#"{"name":"A","kind":"task","version":3},"#,
                r#"{"name":"B","kind":"chunk","reader":"ListReader<i32>","writer":"ListWriter<i32>"}]}"#
            )
        );
    }
}
