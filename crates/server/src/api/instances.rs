//! Job instances: list, detail, their executions and their parameters.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{AppendHeaders, IntoResponse};
use oxbatch_core::execution::{InstanceId, JobInstance};
use oxbatch_core::repository::{ExecutionFilter, InstanceFilter, Missing, PageRequest, RepositoryError};

use super::executions::{listed, statuses};
use super::page::List;
use crate::access::Sight;
use crate::error::Problem;
use crate::extract::{NoQuery, PathId, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::{ExecutionView, InstanceCountView, InstanceParameterView, InstanceView, StatusView};

/// The query of a list of instances.
pub(crate) struct InstancesQuery {
    filter: InstanceFilter,
    page: PageRequest,
}

impl StrictQuery for InstancesQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let filter = InstanceFilter { job_name: reader.one("job", |text| Ok(text.to_owned())) };
        Self { filter, page: List::Instances.page(reader) }
    }
}

/// The query of a count of instances.
pub(crate) struct CountQuery {
    filter: InstanceFilter,
}

impl StrictQuery for CountQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { filter: InstanceFilter { job_name: reader.one("job", |text| Ok(text.to_owned())) } }
    }
}

/// The query of a list of the executions of one instance.
pub(crate) struct InstanceExecutionsQuery {
    filter: ExecutionFilter,
    page: PageRequest,
}

impl StrictQuery for InstanceExecutionsQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let filter = ExecutionFilter { statuses: statuses(reader), ..ExecutionFilter::default() };
        Self { filter, page: List::Executions.page(reader) }
    }
}

/// List job instances, newest first.
#[utoipa::path(
    get, path = "/instances", tag = "instances", operation_id = "list_instances",
    params(
        ("job" = Option<String>, Query, description = "Only of this job", pattern = "^[^\\u0000\\ufffd]*$"),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^i[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses(
        (status = 200, description = "A page of instances", body = Vec<InstanceView>,
            headers(("link" = String, description = "The next page, if there is one"))),
        (status = 404, description = "There is no such job, and there never was"),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Strict(query): Strict<InstancesQuery>,
) -> Result<impl IntoResponse, Problem> {
    if let Some(name) = &query.filter.job_name {
        state.engine().check_job_name(name).await?;
    }
    let page = state.engine().repository().instances(query.filter, query.page).await?;
    let ids = page.instances.iter().map(|instance| instance.id).collect();
    let last = state.engine().repository().newest_executions(ids).await?;
    let views = InstanceView::listed(page.instances, &last);
    Ok((AppendHeaders(List::Instances.link(&uri, page.next)?), Json(views)))
}

/// Count job instances.
#[utoipa::path(
    get, path = "/instances/count", tag = "instances", operation_id = "count_instances",
    params(("job" = Option<String>, Query, description = "Only of this job", pattern = "^[^\\u0000\\ufffd]*$")),
    responses(
        (status = 200, description = "The number of instances", body = InstanceCountView),
        (status = 404, description = "There is no such job, and there never was"),
    )
)]
pub(crate) async fn count(
    State(state): State<AppState>,
    Strict(query): Strict<CountQuery>,
) -> Result<Json<InstanceCountView>, Problem> {
    if let Some(name) = &query.filter.job_name {
        state.engine().check_job_name(name).await?;
    }
    let count = state.engine().repository().instance_count(query.filter).await?;
    Ok(Json(InstanceCountView::new(count)))
}

/// Show a job instance.
#[utoipa::path(
    get, path = "/instances/{id}", tag = "instances", operation_id = "get_instance",
    params(("id" = i64, Path, description = "Id of the instance", minimum = 1)),
    responses(
        (status = 200, description = "The instance", body = InstanceView),
        (status = 404, description = "There is no such instance"),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<InstanceView>, Problem> {
    let instance = found(&state, InstanceId(id)).await?;
    let last = state.engine().repository().newest_executions(vec![instance.id]).await?;
    Ok(Json(InstanceView::new(instance, last.first())))
}

/// List the executions of a job instance, newest first.
#[utoipa::path(
    get, path = "/instances/{id}/executions", tag = "instances", operation_id = "list_instance_executions",
    params(
        ("id" = i64, Path, description = "Id of the instance", minimum = 1),
        ("status" = Option<Vec<StatusView>>, Query, description = "Only with one of these statuses"),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^e[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses(
        (status = 200, description = "A page of executions", body = Vec<ExecutionView>,
            headers(("link" = String, description = "The next page, if there is one"))),
        (status = 404, description = "There is no such instance"),
    )
)]
pub(crate) async fn executions(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    PathId(id): PathId,
    sight: Sight,
    Strict(query): Strict<InstanceExecutionsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let instance = found(&state, InstanceId(id)).await?;
    let filter = ExecutionFilter { instance_id: Some(instance.id), ..query.filter };
    listed(state.engine(), (filter, query.page), &sight, &uri).await
}

/// List the parameters with which a job instance was created, in the order of their names.
#[utoipa::path(
    get, path = "/instances/{id}/parameters", tag = "instances", operation_id = "list_instance_parameters",
    params(("id" = i64, Path, description = "Id of the instance", minimum = 1)),
    responses(
        (status = 200, description = "Its parameters", body = Vec<InstanceParameterView>),
        (status = 404, description = "There is no such instance"),
    )
)]
pub(crate) async fn parameters(
    State(state): State<AppState>,
    PathId(id): PathId,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Json<Vec<InstanceParameterView>>, Problem> {
    let instance = found(&state, InstanceId(id)).await?;
    let rows = state.engine().repository().instance_parameters(instance.id).await?;
    Ok(Json(rows.into_iter().map(Into::into).collect()))
}

async fn found(state: &AppState, id: InstanceId) -> Result<JobInstance, Problem> {
    let instance = state.engine().repository().instance(id).await?;
    instance.ok_or_else(|| RepositoryError::NotFound { what: Missing::Instance, id: id.0 }.into())
}
