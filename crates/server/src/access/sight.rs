//! The sight of a caller: what of the data the calls and the pages show to whom, in one place.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use oxbatch_core::JobExecution;
use oxbatch_core::access::Right;
use oxbatch_core::item::RAW_TEXT;
use oxbatch_core::repository::rules::access::may;

use super::Caller;
use crate::columns::ColumnMask;
use crate::state::AppState;
use crate::view::{ExecutionView, FireView, NoticeView, StepView};

/// The part of the data that a caller sees. The default is none of it.
///
/// Messages of failures say where, by which rule and why to everybody; the raw text of the record, with which they end,
/// is for those who may see the data and from whom no column is masked. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    has_data: bool,
    mask: ColumnMask,
}

impl FromRequestParts<AppState> for Sight {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let has_data = parts.extensions.get::<Caller>().is_some_and(|caller| may(caller.grant(), Right::Data));
        let mask = ColumnMask::from_request_parts(parts, state).await?;
        Ok(Self { has_data, mask })
    }
}

impl Sight {
    /// Sees records of the data.
    pub(crate) fn sees_data(&self) -> bool {
        self.has_data
    }

    /// Sees the raw text of records.
    pub(crate) fn sees_raw(&self) -> bool {
        self.sees_data() && self.mask.is_empty()
    }

    /// The columns that are hidden.
    pub(crate) fn mask(&self) -> &ColumnMask {
        &self.mask
    }

    /// The part of a message that is shown.
    pub(crate) fn shown<'a>(&self, message: &'a str) -> &'a str {
        match message.find(RAW_TEXT).filter(|_| !self.sees_raw()) {
            Some(at) => &message[..at],
            None => message,
        }
    }

    fn cut(&self, message: &mut String) {
        message.truncate(self.shown(message).len());
    }

    /// An execution as it is shown.
    pub(crate) fn execution(&self, mut view: ExecutionView) -> ExecutionView {
        view.exit_message.iter_mut().for_each(|message| self.cut(message));
        view
    }

    /// A step as it is shown.
    pub(crate) fn step(&self, mut view: StepView) -> StepView {
        view.exit_message.iter_mut().for_each(|message| self.cut(message));
        view
    }

    /// A fire of a schedule as it is shown.
    pub(crate) fn fire(&self, mut view: FireView) -> FireView {
        view.message.iter_mut().for_each(|message| self.cut(message));
        view
    }

    /// A notice as it is shown.
    pub(crate) fn notice(&self, mut view: NoticeView) -> NoticeView {
        self.cut(&mut view.message);
        view
    }

    /// `true` if an execution that a search has found has the text in what is shown of it: otherwise the search would
    /// tell what the raw text is.
    pub(crate) fn finds(&self, text: Option<&str>, execution: &JobExecution) -> bool {
        let Some(text) = text.filter(|_| !self.sees_raw()).map(str::to_ascii_lowercase) else { return true };
        let has = |shown: &str| shown.to_ascii_lowercase().contains(&text);
        has(&execution.job_name) || execution.exit_message.as_deref().is_some_and(|message| has(self.shown(message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_before_the_raw_text_for_those_who_do_not_see_it() {
        let message = "step 'Load' failed: line 3: too long; raw text: \"a; raw text: b\"";
        let mask = ColumnMask::new(&["iban".to_owned()]);
        let all = Sight { has_data: true, mask: ColumnMask::default() };
        for sight in [Sight::default(), Sight { has_data: true, mask: mask.clone() }, Sight { has_data: false, mask }] {
            assert_eq!(sight.shown(message), "step 'Load' failed: line 3: too long");
            assert_eq!(sight.shown("plain"), "plain");
        }
        assert_eq!(all.shown(message), message);
    }
}
