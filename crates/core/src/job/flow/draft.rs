//! The builder of flows: elements in their order, each followed by its transitions.

use std::sync::Arc;
use std::time::Duration;

use super::decider::Decider;
use super::graph::Pattern;
use crate::job::{BuildError, JobParameters};
use crate::step::Step;

/// The elements of a job or a flow, as they were written down.
#[derive(Debug, Clone, Default)]
#[doc(hidden)]
pub struct Elements {
    pub(super) drafts: Vec<Draft>,
    pub(super) problems: Vec<String>,
}

/// An element with its ways out, by names.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) body: DraftBody,
    pub(super) transitions: Vec<(Pattern, DraftTarget)>,
    pub(super) is_closed: bool,
    pub(super) next: DraftNext,
    pub(super) at_most: Option<u32>,
}

#[derive(Debug, Clone)]
pub(super) enum DraftBody {
    Step(Result<Step, BuildError>),
    Decider(Decider),
    Flow(Elements),
}

#[derive(Debug, Clone)]
pub(super) enum DraftTarget {
    To(String),
    End(Option<String>),
    Fail(Option<String>),
    Stop { exit_code: Option<String>, restart_at: Option<String> },
}

#[derive(Debug, Clone)]
pub(super) enum DraftNext {
    /// The element behind it, in the order of the definition.
    Following,
    Named(String),
    Ends,
}

impl Elements {
    pub(crate) fn push_step(&mut self, step: Result<Step, BuildError>) {
        let name = match &step {
            Ok(step) => step.name().to_owned(),
            Err(BuildError::Step { step, .. }) => step.clone(),
            Err(_) => String::new(),
        };
        self.push(name, DraftBody::Step(step));
    }

    fn push(&mut self, name: String, body: DraftBody) {
        let (transitions, next) = (Vec::new(), DraftNext::Following);
        self.drafts.push(Draft { name, body, transitions, is_closed: false, next, at_most: None });
    }

    pub(crate) fn push_decider(&mut self, name: String, decider: Decider) {
        self.push(name, DraftBody::Decider(decider));
    }

    pub(crate) fn push_flow(&mut self, name: String, flow: Flow) {
        self.push(name, DraftBody::Flow(flow.elements));
    }

    /// Changes the last element.
    pub(super) fn with_last(&mut self, what: &str, change: impl FnOnce(&mut Draft, &mut Vec<String>)) {
        match self.drafts.last_mut() {
            Some(draft) => change(draft, &mut self.problems),
            None => self.problems.push(format!("{what} stands before the first element")),
        }
    }

    pub(crate) fn set_next(&mut self, next: Option<String>) {
        self.with_last("the way on", |draft, problems| match &draft.next {
            DraftNext::Following => draft.next = next.map_or(DraftNext::Ends, DraftNext::Named),
            _ => problems.push(format!("'{}' has two ways on", draft.name)),
        });
    }

    pub(crate) fn close(&mut self) {
        self.with_last("or_fail", |draft, _| draft.is_closed = true);
    }

    pub(crate) fn version_decider(&mut self, version: u32) {
        self.with_last("decider_version", |draft, problems| match &mut draft.body {
            DraftBody::Decider(decider) => decider.set_version(version),
            _ => problems.push(format!("decider_version stands behind '{}', which is no decider", draft.name)),
        });
    }

    pub(crate) fn limit_decider(&mut self, limit: Duration) {
        self.with_last("decider_time_limit", |draft, problems| match &mut draft.body {
            DraftBody::Decider(_) if limit.is_zero() => {
                problems.push(format!("a time limit of 0 would never let '{}' answer", draft.name));
            }
            DraftBody::Decider(decider) => decider.set_time_limit(limit),
            _ => problems.push(format!("decider_time_limit stands behind '{}', which is no decider", draft.name)),
        });
    }

    pub(crate) fn bound(&mut self, rounds: u32) {
        self.with_last("at_most", |draft, problems| {
            if rounds == 0 {
                problems.push(format!("at_most(0) of '{}' would never let it run", draft.name));
            }
            draft.at_most = Some(rounds);
        });
    }
}

/// A flow of its own: a group of elements that a job runs as one, under a name.
///
/// Used twice in a job it is given two names. Its elements are called `flow/element`, and their transitions lead to
/// elements of the same flow or to an end of the job. A flow has ended when one of its elements has no way on within
/// it; its exit code is that element's, and its own transitions decide on it.
///
/// ```
/// use oxbatch::{Flow, Job, TaskStep};
///
/// let check = Flow::new()
///     .step(TaskStep::builder("Count", |_| Ok(())))
///     .step(TaskStep::builder("Compare", |_| Ok(())));
/// let job = Job::builder("Ledger")
///     .flow("Before", check.clone())
///     .step(TaskStep::builder("Post", |_| Ok(())))
///     .flow("After", check)
///     .build()?;
/// let names: Vec<_> = job.flow().elements().iter().map(|element| element.name()).collect();
/// assert_eq!(names, ["Before/Count", "Before/Compare", "Post", "After/Count", "After/Compare"]);
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Flow {
    elements: Elements,
}

impl Flow {
    /// A flow without elements.
    pub fn new() -> Self {
        Self::default()
    }
}

impl HasElements for Flow {
    fn elements(&mut self) -> &mut Elements {
        &mut self.elements
    }
}

/// A builder of elements.
#[doc(hidden)]
pub trait HasElements {
    /// Its elements.
    fn elements(&mut self) -> &mut Elements;
}

/// A transition without its target, see [`JobBuilder::on`](crate::JobBuilder::on).
#[derive(Debug)]
#[must_use = "a transition needs a target"]
pub struct On<B> {
    builder: B,
    pattern: Pattern,
}

impl<B: HasElements> On<B> {
    pub(crate) fn text(builder: B, pattern: String) -> Self {
        Self { builder, pattern: Pattern::Text(pattern) }
    }

    pub(crate) fn given(builder: B, pattern: impl Fn(&JobParameters) -> String + Send + Sync + 'static) -> Self {
        Self { builder, pattern: Pattern::Given(Arc::new(pattern)) }
    }

    fn leads(mut self, target: DraftTarget) -> B {
        let pattern = self.pattern;
        self.builder.elements().with_last("a transition", |draft, _| draft.transitions.push((pattern, target)));
        self.builder
    }
}

impl<B: HasElements> On<B> {
    /// Leads to an element or a flow of the same level.
    #[must_use]
    pub fn to(self, name: impl Into<String>) -> B {
        self.leads(DraftTarget::To(name.into()))
    }

    /// Ends the job COMPLETED, with the exit code of the element.
    #[must_use]
    pub fn end(self) -> B {
        self.leads(DraftTarget::End(None))
    }

    /// Ends the job COMPLETED, with an exit code of its own.
    #[must_use]
    pub fn end_with(self, exit_code: impl Into<String>) -> B {
        self.leads(DraftTarget::End(Some(exit_code.into())))
    }

    /// Ends the job FAILED. A restart matches the exit code anew; an element that is FAILED itself runs again.
    #[must_use]
    pub fn fail(self) -> B {
        self.leads(DraftTarget::Fail(None))
    }

    /// Ends the job FAILED, with an exit code of its own.
    #[must_use]
    pub fn fail_with(self, exit_code: impl Into<String>) -> B {
        self.leads(DraftTarget::Fail(Some(exit_code.into())))
    }

    /// Stops the job. A restart goes on behind the element, where its default way leads.
    #[must_use]
    pub fn stop(self) -> B {
        self.leads(DraftTarget::Stop { exit_code: None, restart_at: None })
    }

    /// Stops the job, with an exit code of its own.
    #[must_use]
    pub fn stop_with(self, exit_code: impl Into<String>) -> B {
        self.leads(DraftTarget::Stop { exit_code: Some(exit_code.into()), restart_at: None })
    }

    /// Stops the job before an element: a restart goes on there.
    #[must_use]
    pub fn stop_before(self, name: impl Into<String>) -> B {
        self.leads(DraftTarget::Stop { exit_code: None, restart_at: Some(name.into()) })
    }

    /// Stops the job before an element, with an exit code of its own.
    #[must_use]
    pub fn stop_before_with(self, name: impl Into<String>, exit_code: impl Into<String>) -> B {
        self.leads(DraftTarget::Stop { exit_code: Some(exit_code.into()), restart_at: Some(name.into()) })
    }
}

/// The methods by which elements and transitions are written down: those of a job and of a flow are the same.
macro_rules! flow_methods {
    ($builder:ty) => {
        impl $builder {
            /// Adds a step. Steps run in the order in which they are added, unless transitions lead elsewhere. Takes a
            /// step or the builder of one.
            #[must_use]
            pub fn step(mut self, step: impl $crate::step::IntoStep) -> Self {
                self.elements.push_step(step.into_step());
                self
            }

            /// Adds a decider: a function of what has run before that returns an exit code, for transitions to match.
            /// It runs no step, and may be the first element.
            ///
            /// It is called on a thread of its own, once: a restart takes over what it said, unless a step that it saw
            /// was run anew. An error or a panic fails the job, and a restart asks it again.
            #[must_use]
            pub fn decider<F, C>(mut self, name: impl Into<String>, function: F) -> Self
            where
                F: Fn(&$crate::job::DecisionFacts) -> Result<C, $crate::item::BoxError> + Send + Sync + 'static,
                C: Into<String>,
            {
                self.elements.push_decider(name.into(), $crate::job::flow::Decider::new(function));
                self
            }

            /// Bounds the time within which the decider that was added last has to answer:
            /// [`DEFAULT_DECIDER_TIME_LIMIT`]($crate::job::DEFAULT_DECIDER_TIME_LIMIT) unless set. One that exceeds it
            /// is left behind, since it hears of no stop, and fails the job with the exit code
            /// [`TIMEOUT`]($crate::execution::EXIT_TIMEOUT); a restart asks it again.
            #[must_use]
            pub fn decider_time_limit(mut self, limit: std::time::Duration) -> Self {
                self.elements.limit_decider(limit);
                self
            }

            /// The version of the code of the decider that was added last, which no fingerprint of the definition sees:
            /// with another one, an execution whose way it has decided is not restarted unless the change is accepted.
            #[must_use]
            pub fn decider_version(mut self, version: u32) -> Self {
                self.elements.version_decider(version);
                self
            }

            /// Adds a flow under a name of its own.
            #[must_use]
            pub fn flow(mut self, name: impl Into<String>, flow: $crate::job::Flow) -> Self {
                self.elements.push_flow(name.into(), flow);
                self
            }

            /// Adds a transition to the element that was added last: taken when its exit code fits `pattern`, in which
            /// `*` stands for any text and `?` for one character. The first that fits decides. What none fits goes by
            /// the status: COMPLETED goes on, FAILED fails the job.
            pub fn on(self, pattern: impl Into<String>) -> $crate::job::On<Self> {
                $crate::job::On::text(self, pattern.into())
            }

            /// Adds a transition whose pattern comes from the parameters of the execution: a restart may give others.
            pub fn on_given<F>(self, pattern: F) -> $crate::job::On<Self>
            where
                F: Fn(&$crate::job::JobParameters) -> String + Send + Sync + 'static,
            {
                $crate::job::On::given(self, pattern)
            }

            /// Leads on to a named element instead of the following one, when no transition has decided.
            #[must_use]
            pub fn then(mut self, name: impl Into<String>) -> Self {
                self.elements.set_next(Some(name.into()));
                self
            }

            /// Ends the job behind the element that was added last, when no transition has decided.
            #[must_use]
            pub fn then_end(mut self) -> Self {
                self.elements.set_next(None);
                self
            }

            /// Makes the transitions of the element that was added last a closed list: an exit code that fits none of
            /// them fails the job.
            #[must_use]
            pub fn or_fail(mut self) -> Self {
                self.elements.close();
                self
            }

            /// Bounds the rounds of a cycle: the element that was added last is reached at most this often. One element
            /// of each cycle has such a bound; reaching it once more fails the job.
            #[must_use]
            pub fn at_most(mut self, rounds: u32) -> Self {
                self.elements.bound(rounds);
                self
            }
        }
    };
}
pub(crate) use flow_methods;

flow_methods!(Flow);
