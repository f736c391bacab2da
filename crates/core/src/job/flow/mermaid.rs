//! The graph as a picture: Mermaid's text, with labels that cannot break out of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::graph::FlowGraph;
use super::ways::{Way, WayEnd};
use crate::execution::Status;

/// The state of an element in an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementState {
    /// Status of the last attempt.
    pub status: Status,
    /// Rounds that it was reached in.
    pub iterations: u32,
}

/// A label between quotes: what Mermaid or a browser would read as markup stands as a number.
fn label(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '_' | '-' | '/' | '*' | '?' | '.' | ':' | ',' => safe.push(c),
            other => {
                let _ = write!(safe, "#{};", u32::from(other));
            }
        }
    }
    safe
}

impl FlowGraph {
    /// The graph as a Mermaid flow chart; with the states of an execution, where there are any.
    pub fn to_mermaid(&self, states: &BTreeMap<String, ElementState>) -> String {
        let mut out = String::from("flowchart TD\n    start([start])\n    done([COMPLETED])\n");
        for (index, element) in self.elements.iter().enumerate() {
            let mut text = label(&element.name);
            if let Some(state) = states.get(&element.name) {
                let _ = write!(text, "<br/>{}", state.status.as_str());
                if state.iterations > 1 {
                    let _ = write!(text, " × {}", state.iterations);
                }
            }
            let (open, close) = if element.step().is_some() { ("[", "]") } else { ("{", "}") };
            let _ = writeln!(out, "    e{index}{open}\"{text}\"{close}");
        }
        out.push_str("    start --> e0\n");
        let ways = self.ways();
        let fails = ways.iter().any(|way| matches!(way.to, WayEnd::Failed { .. }));
        if fails {
            out.push_str("    failed([FAILED])\n");
        }
        if ways.iter().any(|way| matches!(way.to, WayEnd::Stopped { .. })) {
            out.push_str("    stopped([STOPPED])\n");
        }
        for way in &ways {
            self.write_way(way, &mut out);
        }
        self.write_finally(fails, &mut out);
        out
    }

    fn write_way(&self, way: &Way, out: &mut String) {
        let node = |name: &str| self.index_of(name).map_or_else(String::new, |index| format!("e{index}"));
        let on = way.on.as_ref().map_or_else(String::new, |on| format!("|\"{}\"|", label(on)));
        let (to, restart) = match &way.to {
            WayEnd::Element(name) => (node(name), None),
            WayEnd::Completed { .. } => ("done".to_owned(), None),
            WayEnd::Failed { .. } => ("failed".to_owned(), None),
            WayEnd::Stopped { restart_at, .. } => ("stopped".to_owned(), restart_at.as_deref()),
        };
        let _ = writeln!(out, "    {} -->{on} {to}", node(&way.from));
        if let Some(name) = restart {
            let _ = writeln!(out, "    stopped -.->|restart| {}", node(name));
        }
    }

    fn write_finally(&self, fails: bool, out: &mut String) {
        for (index, one) in self.finally.iter().enumerate() {
            let _ = writeln!(out, "    f{index}[[\"finally: {}\"]]", label(one.step.name()));
            match index {
                0 => {
                    out.push_str("    done -.-> f0\n");
                    if fails {
                        out.push_str("    failed -.-> f0\n");
                    }
                }
                _ => {
                    let _ = writeln!(out, "    f{} -.-> f{index}", index - 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Job, TaskStep};

    #[test]
    fn a_name_cannot_break_out_of_the_picture() {
        let hostile = "x\"]; click e0 \"javascript:alert(1)\" %%<script>";
        let job = Job::builder("Job")
            .step(TaskStep::builder(hostile.replace('/', ""), |_| Ok(())))
            .on("\"|<b>")
            .fail()
            .finally(TaskStep::builder("End", |_| Ok(())))
            .build()
            .unwrap();
        let state = ElementState { status: Status::Failed, iterations: 2 };
        let states = [(job.flow().elements()[0].name().to_owned(), state)].into();
        let picture = job.flow().to_mermaid(&states);
        assert!(picture.contains("FAILED × 2") && picture.contains("#91;") == hostile.contains('['), "{picture}");
        for line in picture.lines() {
            assert!(!line.contains("<script") && !line.contains("<b>") && line.matches('"').count() % 2 == 0, "{line}");
        }
    }
}
