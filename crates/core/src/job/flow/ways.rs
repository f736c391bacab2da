//! The ways through a graph, as they are shown: every transition and every default way, with names.

use super::graph::{FlowGraph, Next, Target};

/// A way out of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Name of the element.
    pub from: String,
    /// The pattern of the exit codes that take it; `None` for the default way of a COMPLETED element.
    pub on: Option<String>,
    /// Its end.
    pub to: WayEnd,
}

/// The end of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayEnd {
    /// An element, by its name.
    Element(String),
    /// The execution is COMPLETED.
    Completed {
        /// An exit code of its own.
        exit_code: Option<String>,
    },
    /// The execution is FAILED.
    Failed {
        /// An exit code of its own.
        exit_code: Option<String>,
    },
    /// The execution is STOPPED.
    Stopped {
        /// An exit code of its own.
        exit_code: Option<String>,
        /// The element at which a restart goes on, when it is named.
        restart_at: Option<String>,
    },
}

impl FlowGraph {
    /// All ways out of all elements, in the order in which they are tried. A FAILED element that takes none of them
    /// fails the job.
    pub fn ways(&self) -> Vec<Way> {
        (0..self.elements.len()).flat_map(|element| self.ways_out(element)).collect()
    }

    fn ways_out(&self, element: usize) -> Vec<Way> {
        let name = |element: usize| self.elements[element].name.clone();
        let mut ways = Vec::new();
        let from = name(element);
        let mut add = |on: Option<String>, to| ways.push(Way { from: from.clone(), on, to });
        for (_, exits) in self.levels(element) {
            for transition in &exits.transitions {
                let to = match transition.target.clone() {
                    Target::Element(to) => WayEnd::Element(name(to)),
                    Target::End { exit_code } => WayEnd::Completed { exit_code },
                    Target::Fail { exit_code } => WayEnd::Failed { exit_code },
                    Target::Stop { exit_code, restart_at } => {
                        WayEnd::Stopped { exit_code, restart_at: restart_at.map(name) }
                    }
                };
                add(Some(transition.pattern.label().to_owned()), to);
            }
            if exits.is_closed {
                return ways;
            }
            match exits.next {
                Next::Element(to) => {
                    add(None, WayEnd::Element(name(to)));
                    return ways;
                }
                Next::Ends => break,
                Next::Leaves => {}
            }
        }
        add(None, WayEnd::Completed { exit_code: None });
        ways
    }
}
