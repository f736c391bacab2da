//! Notices: list, delivery log, a trial of a channel.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{AppendHeaders, IntoResponse};
use oxbatch_core::notice::{Notice, NoticeId, NoticeState};
use oxbatch_core::repository::PageRequest;

use super::page::List;
use crate::access::Sight;
use crate::error::{Problem, ProblemKind};
use crate::extract::body::NoBody;
use crate::extract::{NoQuery, PathId, PathName, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::{NoticeAttemptView, NoticeTrialView, NoticeView};

/// The query of a list of notices.
pub(crate) struct NoticesQuery {
    pub(crate) state: Option<NoticeState>,
    pub(crate) page: PageRequest,
}

impl StrictQuery for NoticesQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let state = reader.one("state", |text| {
            text.parse().map_err(|_| {
                let known: Vec<_> = NoticeState::ALL.iter().map(|state| state.as_str()).collect();
                format!("must be one of {}", known.join(", "))
            })
        });
        Self { state, page: List::Notices.page(reader) }
    }
}

/// List notices, newest first.
#[utoipa::path(
    get, path = "/notices", tag = "schedules", operation_id = "list_notices",
    params(
        ("state" = Option<String>, Query, description = "Only in this state, such as UNDELIVERED",
            pattern = "^(PENDING|DELIVERED|UNDELIVERED)$"),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^n[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses((status = 200, description = "A page of notices", body = Vec<NoticeView>,
        headers(("link" = String, description = "The next page, if there is one"))))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    sight: Sight,
    Strict(query): Strict<NoticesQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = state.engine().repository().notices(query.state, query.page).await?;
    let views: Vec<NoticeView> = page.notices.into_iter().map(|notice| sight.notice(notice.into())).collect();
    Ok((AppendHeaders(List::Notices.link(&uri, page.next)?), Json(views)))
}

/// List the attempts to deliver a notice, the last 100 of them.
#[utoipa::path(
    get, path = "/notices/{id}/attempts", tag = "schedules", operation_id = "list_notice_attempts",
    params(("id" = i64, Path, description = "Id of the notice", minimum = 1)),
    responses(
        (status = 200, description = "The attempts, the oldest first", body = Vec<NoticeAttemptView>),
        (status = 404, description = "There is no such notice, or it was purged"),
    )
)]
pub(crate) async fn attempts(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<NoticeAttemptView>>, Problem> {
    let attempts = state.engine().repository().notice_attempts(NoticeId(id)).await?;
    Ok(Json(attempts.into_iter().map(Into::into).collect()))
}

/// Send a trial to a channel of this service's settings, now. It is no notice of the list.
#[utoipa::path(
    post, path = "/notices/test/{channel}", tag = "schedules", operation_id = "test_notice_channel",
    params(("channel" = String, Path, description = "Name of the channel", min_length = 1)),
    responses(
        (status = 200, description = "The trial was sent; the body says whether the channel has taken it",
            body = NoticeTrialView),
        (status = 404, description = "The settings of this service have no such channel"),
    )
)]
pub(crate) async fn test(
    State(state): State<AppState>,
    PathName(channel): PathName,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<Json<NoticeTrialView>, Problem> {
    Ok(Json(trial(&state, channel).await?))
}

/// The names of the channels of this service's settings.
pub(crate) fn channels(state: &AppState) -> Vec<String> {
    let sender = state.engine().config().notices.clone();
    sender.iter().flat_map(|it| it.channels()).map(|channel| channel.name).collect()
}

/// Sends a trial to a channel.
pub(crate) async fn trial(state: &AppState, channel: String) -> Result<NoticeTrialView, Problem> {
    let sender = state.engine().config().notices.clone();
    let known = channels(state);
    let Some(sender) = sender.filter(|_| known.contains(&channel)) else {
        let detail = match known.join(", ").as_str() {
            "" => "the settings of this service have no channel of notices".to_owned(),
            names => format!("this service has no channel '{channel}'; its channels are {names}"),
        };
        return Err(Problem::new(ProblemKind::ChannelNotFound, detail));
    };
    // The semaphore is never closed.
    let _permit = state.trials().acquire().await.ok();
    let now = state.engine().repository().agenda().await?.now;
    let problem = sender.deliver(&Notice::trial(&channel, now)).await.err();
    Ok(NoticeTrialView { channel, taken: problem.is_none(), problem })
}
