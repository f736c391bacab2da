//! The notices and how they were delivered.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use oxbatch_core::notice::{NoticeId, NoticeState};
use oxbatch_core::repository::RepositoryError;

use super::command::{Call, Commands, segment};
use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::parts::Moment;
use super::text::shorten;
use crate::access::Sight;
use crate::api::notices::{NoticesQuery, channels, trial};
use crate::api::page::List;
use crate::error::Problem;
use crate::extract::{PathName, Strict};
use crate::state::AppState;
use crate::view::{NoticeTrialView, NoticeView};

/// Most characters of a message.
const MESSAGE_CHARS: usize = 400;
/// Notices of a page whose last attempt is looked up.
const LOOKED_UP: usize = 50;

#[derive(Template)]
#[template(path = "notices.html")]
struct NoticesPage {
    frame: Frame,
    notices: Vec<NoticeRow>,
    states: Vec<&'static str>,
    chosen: String,
    next: Option<String>,
    channels: Vec<Channel>,
    /// The outcome of a trial.
    trial: Option<NoticeTrialView>,
}

/// A channel of this service's settings.
struct Channel {
    name: String,
    path: String,
    commands: Commands,
}

impl Channel {
    fn new(name: String, visitor: &Visitor) -> Self {
        let test = Call::post(format!("/notices/test/{}", segment(&name)));
        Self {
            commands: test.commands(visitor, &["notices", "test", &name]),
            path: format!("/ui/notices/test/{}", segment(&name)),
            name,
        }
    }
}

struct NoticeRow {
    at: Moment,
    /// Without the raw text of a record.
    message: String,
    /// The error of the last attempt.
    error: Option<String>,
    view: NoticeView,
}

/// A page of the list.
pub(crate) async fn show(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    listed(&state, Form::of_query(query.as_deref()), visitor, None).await
}

/// Sends a trial to a channel, and shows what came of it.
pub(crate) async fn test(
    State(state): State<AppState>,
    PathName(name): PathName,
    visitor: Visitor,
    _: Form,
) -> Result<Response, Problem> {
    let trial = trial(&state, name).await?;
    listed(&state, Form::default(), visitor, Some(trial)).await
}

/// The last error of a notice; none of one that was purged meanwhile.
async fn last_error(state: &AppState, id: NoticeId) -> Result<Option<String>, Problem> {
    match state.engine().repository().notice_attempts(id).await {
        Ok(attempts) => Ok(attempts.into_iter().filter_map(|attempt| attempt.error).next_back()),
        Err(RepositoryError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn listed(
    state: &AppState,
    form: Form,
    visitor: Visitor,
    trial: Option<NoticeTrialView>,
) -> Result<Response, Problem> {
    let given = form.query_without("");
    let asked: NoticesQuery = Strict::of(&given)?;
    let repository = state.engine().repository();
    let found = repository.notices(asked.state, asked.page).await?;
    let mut notices = Vec::new();
    for notice in found.notices {
        let (id, has_failed) = (notice.id, notice.attempts > 0 && notice.state != NoticeState::Delivered);
        let error = match has_failed && notices.len() < LOOKED_UP {
            true => last_error(state, id).await?,
            false => None,
        };
        let view = Sight::default().notice(notice.into());
        notices.push(NoticeRow {
            at: Moment::of(&view.create_time),
            message: shorten(&view.message, MESSAGE_CHARS),
            error,
            view,
        });
    }
    page(&NoticesPage {
        channels: channels(state).into_iter().map(|name| Channel::new(name, &visitor)).collect(),
        trial,
        frame: Frame::new("Notices", "notices", visitor),
        notices,
        states: NoticeState::ALL.iter().map(|state| state.as_str()).collect(),
        chosen: form.get("state").unwrap_or_default().to_owned(),
        next: found.next.map(|next| List::Notices.query(&given, next)),
    })
}
