//! The graph as a picture: Mermaid's text, with labels that cannot break out of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::graph::{FlowGraph, Next, Target};
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
        let mut uses = (false, false);
        for (index, element) in self.elements.iter().enumerate() {
            let mut text = label(&element.name);
            if let Some(state) = states.get(&element.name) {
                let _ = write!(text, "<br/>{}", state.status.as_str());
                if state.iterations > 1 {
                    let _ = write!(text, " × {}", state.iterations);
                }
            }
            let shape = if element.step().is_some() { ("[", "]") } else { ("{", "}") };
            let _ = writeln!(out, "    e{index}{}\"{text}\"{}", shape.0, shape.1);
        }
        for (index, one) in self.finally.iter().enumerate() {
            let _ = writeln!(out, "    f{index}[[\"finally: {}\"]]", label(one.step.name()));
        }
        if !self.elements.is_empty() {
            out.push_str("    start --> e0\n");
        }
        for index in 0..self.elements.len() {
            self.ways_out(index, &mut out, &mut uses);
        }
        if uses.0 {
            out.push_str("    failed([FAILED])\n");
        }
        if uses.1 {
            out.push_str("    stopped([STOPPED])\n");
        }
        let ends: &[&str] = if uses.0 { &["done", "failed"] } else { &["done"] };
        if !self.finally.is_empty() {
            for end in ends {
                let _ = writeln!(out, "    {end} -.-> f0");
            }
        }
        for index in 1..self.finally.len() {
            let _ = writeln!(out, "    f{} -.-> f{index}", index - 1);
        }
        out
    }

    fn ways_out(&self, index: usize, out: &mut String, uses: &mut (bool, bool)) {
        for (_, exits) in self.levels(index) {
            for transition in &exits.transitions {
                let on = label(transition.pattern.label());
                let line = match &transition.target {
                    Target::Element(to) => format!("e{index} -->|\"{on}\"| e{to}"),
                    Target::End { .. } => format!("e{index} -->|\"{on}\"| done"),
                    Target::Fail { .. } => {
                        uses.0 = true;
                        format!("e{index} -->|\"{on}\"| failed")
                    }
                    Target::Stop { restart_at, .. } => {
                        uses.1 = true;
                        let restart =
                            restart_at.map_or_else(String::new, |to| format!("\n    stopped -.->|restart| e{to}"));
                        format!("e{index} -->|\"{on}\"| stopped{restart}")
                    }
                };
                let _ = writeln!(out, "    {line}");
            }
            if exits.is_closed {
                return;
            }
            match exits.next {
                Next::Element(to) => {
                    let _ = writeln!(out, "    e{index} --> e{to}");
                    return;
                }
                Next::Ends => break,
                Next::Leaves => {}
            }
        }
        let _ = writeln!(out, "    e{index} --> done");
    }
}
