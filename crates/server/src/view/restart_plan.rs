//! The plan of a restart: what it would pass over, where it would go on, what a launch with force would do.

use oxbatch_core::engine::{Course, CourseEnd, PlannedAction, PlannedElement, RestartPlan, ResumePoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StatusView;

/// The plan of a restart of an execution, as of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RestartPlan)]
pub struct RestartPlanView {
    /// The execution.
    #[schema(minimum = 1)]
    pub execution_id: i64,
    /// Its job.
    pub job_name: String,
    /// Its status.
    pub status: StatusView,
    /// A text that is another one as soon as something else would be done: for If-Match of the restart.
    pub tag: String,
    /// The way of a restart.
    pub restart: CourseView,
    /// The change in the definition of the job for which the restart is refused unless it has `accept_changes`; null
    /// where there is none.
    #[schema(required)]
    pub definition_change: Option<String>,
    /// The way of a launch with force.
    pub force: CourseView,
}

/// The way of an execution through its job, as far as it is certain, and on from there as long as each element ends as
/// it did before, or else COMPLETED.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RestartCourse)]
pub struct CourseView {
    /// The reason why it is refused; null where it is not.
    #[schema(required)]
    pub refusal: Option<String>,
    /// The elements in their order; empty where it is refused.
    pub elements: Vec<PlannedElementView>,
    /// The end of what can be planned; null where it is refused.
    #[schema(required)]
    pub end: Option<CourseEndView>,
}

/// An element that the execution comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PlannedElement)]
pub struct PlannedElementView {
    /// Its name.
    pub name: String,
    /// Number of the round of a cycle.
    #[schema(minimum = 1)]
    pub iteration: u32,
    /// True for a step that runs at the end of the execution.
    pub is_final: bool,
    /// False if it is reached only when those before it end as the plan assumes.
    pub is_certain: bool,
    /// The action there.
    pub action: PlannedActionView,
    /// The same in words that go on after the name.
    pub summary: String,
    /// The execution that has finished it or has attempted it last; null where there is none.
    #[schema(minimum = 1, required)]
    pub execution_id: Option<i64>,
    /// The exit code with which it was finished; null where it was not.
    #[schema(required)]
    pub exit_code: Option<String>,
    /// Attempts of the step so far; null where it goes on from none.
    #[schema(minimum = 1, required)]
    pub attempts: Option<i64>,
    /// Items that the attempts have read up to their last commits; null where it goes on from none.
    #[schema(minimum = 0, required)]
    pub items_read: Option<i64>,
    /// The place in the source at which it goes on, where the reader's checkpoint tells: the next line of a file, the
    /// last key of a table.
    #[schema(required)]
    pub place: Option<String>,
}

/// An action at an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = PlannedAction)]
pub enum PlannedActionView {
    /// Nothing: an earlier execution has finished it.
    PassOver,
    /// The step runs from its start.
    Begin,
    /// The step runs from its start although an earlier execution has completed it.
    BeginAgain,
    /// The step goes on from what its last attempt has committed.
    Resume,
    /// The decider is asked.
    Decide,
    /// The execution fails: the step was attempted as often as it may be.
    Refuse,
}

/// The end of what can be planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RestartCourseEnd)]
pub struct CourseEndView {
    /// The status of the execution; null where a decider chooses the way, or more follows than a plan names.
    #[schema(required)]
    pub status: Option<StatusView>,
    /// The decider that chooses the way.
    #[schema(required)]
    pub decider: Option<String>,
    /// The message of the execution, where that is known before.
    #[schema(required)]
    pub message: Option<String>,
}

impl From<RestartPlan> for RestartPlanView {
    fn from(plan: RestartPlan) -> Self {
        Self {
            execution_id: plan.execution_id.0,
            job_name: plan.job_name,
            status: plan.status.into(),
            tag: plan.tag,
            restart: plan.restart.into(),
            definition_change: plan.definition_change,
            force: plan.force.into(),
        }
    }
}

impl From<Result<Course, String>> for CourseView {
    fn from(course: Result<Course, String>) -> Self {
        match course {
            Err(reason) => Self { refusal: Some(reason), elements: Vec::new(), end: None },
            Ok(Course { elements, end }) => {
                Self { refusal: None, elements: elements.into_iter().map(Into::into).collect(), end: Some(end.into()) }
            }
        }
    }
}

impl From<PlannedElement> for PlannedElementView {
    fn from(element: PlannedElement) -> Self {
        let PlannedElement { name, iteration, is_final, is_certain, action } = element;
        let summary = summary(&action);
        let mut view = Self {
            name,
            iteration,
            is_final,
            is_certain,
            action: PlannedActionView::Begin,
            summary,
            execution_id: None,
            exit_code: None,
            attempts: None,
            items_read: None,
            place: None,
        };
        match action {
            PlannedAction::PassOver { execution_id, exit_code, .. } => {
                view.action = PlannedActionView::PassOver;
                view.execution_id = execution_id.map(|id| id.0);
                view.exit_code = Some(exit_code);
            }
            PlannedAction::Begin { again: true } => view.action = PlannedActionView::BeginAgain,
            PlannedAction::Resume(point) => {
                view.action = PlannedActionView::Resume;
                view.execution_id = Some(point.execution_id.0);
                view.attempts = Some(point.attempts);
                view.items_read = Some(point.items_read);
                view.place = point.place.map(|place| place.to_string());
            }
            PlannedAction::Decide => view.action = PlannedActionView::Decide,
            PlannedAction::Refuse { attempts } => {
                view.action = PlannedActionView::Refuse;
                view.attempts = Some(attempts);
            }
            // The default of the view.
            _ => {}
        }
        view
    }
}

impl From<CourseEnd> for CourseEndView {
    fn from(end: CourseEnd) -> Self {
        match end {
            CourseEnd::Over { status, message } => Self { status: Some(status.into()), decider: None, message },
            CourseEnd::Open { decider } => Self { status: None, decider: Some(decider), message: None },
            _ => Self { status: None, decider: None, message: Some("more follows than a plan names".to_owned()) },
        }
    }
}

/// The action at an element, in words that go on after its name.
fn summary(action: &PlannedAction) -> String {
    match action {
        PlannedAction::PassOver { execution_id, exit_code, .. } => match execution_id {
            Some(id) => format!("is not run again: execution {id} has ended it with {exit_code}"),
            None => format!("is not run again: it has ended with {exit_code}"),
        },
        PlannedAction::Begin { again: false } => "runs from its start".to_owned(),
        PlannedAction::Begin { again: true } => "runs again from its start, although it is complete".to_owned(),
        PlannedAction::Resume(point) => resumes(point),
        PlannedAction::Decide => "is asked for the way on".to_owned(),
        PlannedAction::Refuse { attempts } => {
            format!("fails the execution: {attempts} attempts were made, as many as it may have")
        }
        _ => "is reached".to_owned(),
    }
}

fn resumes(point: &ResumePoint) -> String {
    let ResumePoint { execution_id, attempts, items_read, place, has_state, .. } = point;
    let made = match attempts {
        1 => "1 attempt".to_owned(),
        made => format!("{made} attempts"),
    };
    let behind = match (has_state, items_read) {
        (false, _) => "runs from its start, since nothing was committed".to_owned(),
        (true, 0) => "goes on with the state that was committed".to_owned(),
        (true, items) => match place {
            Some(place) => format!("goes on at {place}, behind {items} items read"),
            None => format!("goes on behind {items} items read"),
        },
    };
    format!("{behind} ({made}, the last by execution {execution_id})")
}
