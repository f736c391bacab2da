//! The plan of a restart, in sentences that stand before its button.

use super::command::{Commands, of_restart};
use super::frame::Visitor;
use super::parts::count;
use crate::view::{CourseEndView, PlannedActionView, PlannedElementView, RestartPlanView};

/// The plan of a restart as it is shown.
#[derive(Debug)]
pub(super) struct PlanPart {
    pub(super) id: i64,
    pub(super) tag: String,
    pub(super) refusal: Option<String>,
    pub(super) definition_change: Option<String>,
    pub(super) elements: Vec<PlannedElementView>,
    pub(super) end: Option<String>,
    /// The whole in a sentence.
    pub(super) summary: String,
    pub(super) commands: Commands,
    pub(super) operates: bool,
}

impl PlanPart {
    pub(super) fn new(plan: RestartPlanView, visitor: &Visitor) -> Self {
        let summary = summary(&plan.restart.elements);
        Self {
            id: plan.execution_id,
            commands: of_restart(visitor, plan.execution_id, &plan.tag),
            tag: plan.tag,
            refusal: plan.restart.refusal,
            definition_change: plan.definition_change,
            end: plan.restart.end.as_ref().map(end),
            elements: plan.restart.elements,
            summary,
            operates: visitor.operates(),
        }
    }
}

/// "Resumes step Import at line 4,211 …; Fetch is complete and not run again".
fn summary(elements: &[PlannedElementView]) -> String {
    let named = |wanted: &[PlannedActionView]| -> Vec<&str> {
        let found = elements.iter().filter(|element| wanted.contains(&element.action));
        found.map(|element| element.name.as_str()).collect()
    };
    let resumed = elements.iter().find(|element| element.action == PlannedActionView::Resume);
    let mut parts = Vec::new();
    match resumed {
        Some(step) => match (&step.place, step.items_read.unwrap_or(0)) {
            (Some(place), read) => {
                parts.push(format!("resumes step {} at {place}, behind {} items", step.name, count(read)))
            }
            (None, read) if read > 0 => parts.push(format!("resumes step {} behind {} items", step.name, count(read))),
            (None, _) => parts.push(format!("runs step {} from its start", step.name)),
        },
        None => match named(&[PlannedActionView::Begin, PlannedActionView::BeginAgain]).as_slice() {
            [] => {}
            [one] => parts.push(format!("runs step {one} from its start")),
            many => parts.push(format!("runs {} steps from their start, first {}", many.len(), many[0])),
        },
    }
    match named(&[PlannedActionView::PassOver]).as_slice() {
        [] => parts.push("nothing is complete yet".to_owned()),
        [one] => parts.push(format!("{one} is complete and not run again")),
        many => parts.push(format!("{} are complete and not run again", many.join(", "))),
    }
    let all = parts.join("; ");
    // It stands as a sentence.
    all.chars().take(1).flat_map(char::to_uppercase).chain(all.chars().skip(1)).collect()
}

fn end(end: &CourseEndView) -> String {
    match (&end.status, &end.decider, &end.message) {
        (_, Some(decider), _) => format!("then {decider} chooses the way"),
        (Some(status), _, Some(message)) => format!("ends {}: {message}", status.word()),
        (Some(status), ..) => format!("ends {}, if the steps end as they did before or COMPLETED", status.word()),
        (None, None, message) => message.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(name: &str, action: PlannedActionView, place: Option<&str>) -> PlannedElementView {
        PlannedElementView {
            name: name.to_owned(),
            iteration: 1,
            is_final: false,
            is_certain: true,
            action,
            summary: String::new(),
            execution_id: None,
            exit_code: None,
            attempts: None,
            items_read: Some(4_210_000),
            place: place.map(str::to_owned),
        }
    }

    #[test]
    fn the_summary_says_what_is_done_and_what_is_not() {
        let plan = [
            element("Fetch", PlannedActionView::PassOver, None),
            element("Import", PlannedActionView::Resume, Some("line 4210001")),
        ];
        let said = "Resumes step Import at line 4210001, behind 4,210,000 items; Fetch is complete and not run again";
        assert_eq!(summary(&plan), said);
        assert_eq!(
            summary(&[element("A", PlannedActionView::Begin, None)]),
            "Runs step A from its start; nothing is complete yet"
        );
    }
}
