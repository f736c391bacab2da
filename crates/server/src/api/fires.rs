//! Fires of schedules: lists, and those that were left out run again.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use axum::response::{AppendHeaders, IntoResponse};
use oxbatch_core::repository::{FireId, FireOutcome, PageRequest};

use super::page::List;
use crate::access::Sight;
use crate::error::Problem;
use crate::extract::body::NoBody;
use crate::extract::query::shorten;
use crate::extract::{NoQuery, PathId, PathName, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::FireView;

/// The query of a list of fires.
pub(crate) struct FiresQuery {
    outcome: Option<FireOutcome>,
    page: PageRequest,
}

impl StrictQuery for FiresQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let outcome = reader.one("outcome", |text| {
            text.parse().map_err(|_| {
                let known: Vec<_> = FireOutcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
                format!("must be one of {}, not '{}'", known.join(", "), shorten(text))
            })
        });
        Self { outcome, page: List::Fires.page(reader) }
    }
}

async fn listed(
    state: &AppState,
    name: Option<&str>,
    query: FiresQuery,
    sight: &Sight,
    uri: &Uri,
) -> Result<impl IntoResponse + use<>, Problem> {
    let page = state.engine().scheduler().fires(name, query.outcome, query.page).await?;
    let views: Vec<FireView> = page.fires.into_iter().map(|fire| sight.fire(fire.into())).collect();
    Ok((AppendHeaders(List::Fires.link(uri, page.next)?), Json(views)))
}

/// List the fires of a schedule, those that were recorded last first.
#[utoipa::path(
    get, path = "/schedules/{name}/fires", tag = "schedules", operation_id = "list_fires_of_schedule",
    params(
        ("name" = String, Path, description = "Name of the schedule", min_length = 1),
        ("outcome" = Option<String>, Query, description = "Only with this outcome, such as MISSED",
            pattern = "^(WAITING|PLANNED|LAUNCHED|ALREADY_COMPLETE|ALREADY_RUNNING|ALREADY_FAILED|SKIPPED|MISSED|REFUSED|CANCELLED)$"),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^f[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses(
        (status = 200, description = "A page of fires", body = Vec<FireView>,
            headers(("link" = String, description = "The next page, if there is one"))),
        (status = 404, description = "There is no such schedule"),
    )
)]
pub(crate) async fn of_schedule(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    PathName(name): PathName,
    sight: Sight,
    Strict(query): Strict<FiresQuery>,
) -> Result<impl IntoResponse, Problem> {
    listed(&state, Some(&name), query, &sight, &uri).await
}

/// List the fires of all schedules, those that were recorded last first.
#[utoipa::path(
    get, path = "/fires", tag = "schedules", operation_id = "list_fires",
    params(
        ("outcome" = Option<String>, Query, description = "Only with this outcome, such as MISSED",
            pattern = "^(WAITING|PLANNED|LAUNCHED|ALREADY_COMPLETE|ALREADY_RUNNING|ALREADY_FAILED|SKIPPED|MISSED|REFUSED|CANCELLED)$"),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^f[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses((status = 200, description = "A page of fires", body = Vec<FireView>,
        headers(("link" = String, description = "The next page, if there is one"))))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    sight: Sight,
    Strict(query): Strict<FiresQuery>,
) -> Result<impl IntoResponse, Problem> {
    listed(&state, None, query, &sight, &uri).await
}

/// Launch a fire that was missed, left out or refused, or that waits.
#[utoipa::path(
    post, path = "/fires/{id}/run", tag = "schedules", operation_id = "run_fire",
    params(("id" = i64, Path, description = "Id of the fire", minimum = 1)),
    responses(
        (status = 200, description = "The fire; its outcome says whether it has launched", body = FireView),
        (status = 404, description = "There is no such fire, or its schedule was removed"),
        (status = 409, description = "It has launched already, or its parameters do not fit its job"),
    )
)]
pub(crate) async fn run(
    State(state): State<AppState>,
    PathId(id): PathId,
    sight: Sight,
    Strict(NoQuery): Strict<NoQuery>,
    NoBody: NoBody,
) -> Result<Json<FireView>, Problem> {
    Ok(Json(sight.fire(state.engine().scheduler().run_fire(FireId(id)).await?.into())))
}
