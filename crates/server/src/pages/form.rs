//! The fields of a form, in their order; a field may stand several times.

use axum::extract::{FromRequest, Request};

use crate::error::{Problem, ProblemKind};
use crate::extract::body::form_text;
use crate::state::AppState;

/// The fields of a form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    /// The fields of a query.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self { fields: form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect() }
    }

    /// The value of a field that is filled in.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, text)| text.as_str()).filter(|text| !text.is_empty())
    }

    /// All values of a field that are filled in.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let filled = self.fields.iter().filter(|(field, text)| field == name && !text.is_empty());
        filled.map(|(_, text)| text.clone()).collect()
    }

    /// `true` if a box is ticked.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The query of the fields that are filled in, without one.
    pub(super) fn query_without(&self, left_out: &str) -> String {
        let filled = self.fields().filter(|(name, text)| *name != left_out && !text.is_empty());
        form_urlencoded::Serializer::new(String::new()).extend_pairs(filled).finish()
    }
}

impl FromRequest<AppState> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let bytes = form_text(request, state.limits()).await?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Problem::new(ProblemKind::MalformedBody, "the form is no text in UTF-8"))?;
        if text.contains('\0') || text.contains("%00") {
            return Err(Problem::new(ProblemKind::MalformedBody, "a field of the form has a NUL"));
        }
        Ok(Self::of_query(Some(text)))
    }
}
