//! Bulk work from the list of executions: counted, confirmed, watched, cancelled.

use std::time::Duration;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use oxbatch_core::repository::{BulkAction, BulkId, PageRequest};
use serde_json::json;

use super::command::{Call, Commands};
use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::parts::Moment;
use crate::api::bulk::request;
use crate::error::{Problem, ProblemKind};
use crate::extract::PathId;
use crate::state::AppState;
use crate::view::{BulkFilterView, BulkInput, BulkPlanView, BulkResultView, BulkView};

/// Results that are listed.
const RESULTS: u32 = 100;

#[derive(Template)]
#[template(path = "bulk_plan.html")]
struct PlanPage {
    frame: Frame,
    word: &'static str,
    /// The word for those that are acted on.
    done: &'static str,
    plan: BulkPlanView,
    /// The number of executions that were chosen one by one; 0 for all that match.
    chosen: usize,
    conditions: Vec<(String, String)>,
    more_conditions: usize,
    fields: Vec<(String, String)>,
    back: String,
    commands: Commands,
}

impl PlanPage {
    /// Those of the chosen that are not there any more.
    fn gone(&self) -> usize {
        self.chosen.saturating_sub(self.plan.found)
    }
}

#[derive(Template)]
#[template(path = "bulk_list.html")]
struct ListPage {
    frame: Frame,
    bulks: Vec<(Moment, BulkView)>,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct BulkPage {
    frame: Frame,
    bulk: BulkView,
    began: Moment,
    ended: Option<Moment>,
    conditions: Vec<(String, String)>,
    more_conditions: usize,
    results: Vec<BulkResultView>,
    cancel: Commands,
}

/// Fields of the list that are no conditions: the page that they came from, and that rows were to be chosen.
const OF_THE_LIST: [&str; 3] = ["cursor", "back", "chosen"];
/// The time for which executions are counted, so that the page is there in time.
const COUNTED_FOR: Duration = Duration::from_millis(15);
/// Conditions that are shown.
const CONDITIONS: usize = 40;

/// The filter of a form: the fields of the list of executions.
fn input(form: &Form) -> Result<BulkInput, Problem> {
    let text = |name: &str| form.get(name).map(str::to_owned);
    let instance = text("instance").map(|id| id.parse()).transpose();
    let filter = BulkFilterView {
        job: text("job"),
        status: form.all("status"),
        from: text("from"),
        to: text("to"),
        instance: instance.map_err(|_| Problem::new(ProblemKind::NoObject, "instance is no id"))?,
        ids: chosen(form)?,
        parameter: form.all("parameter"),
        text: text("text"),
    };
    Ok(BulkInput { action: text("action").unwrap_or_default(), filter, dry_run: true })
}

/// The executions that were chosen one by one.
fn chosen(form: &Form) -> Result<Vec<i64>, Problem> {
    let refused = |text: &str| Problem::new(ProblemKind::NoObject, text);
    let ids = form.all("id").iter().map(|id| id.parse()).collect::<Result<Vec<i64>, _>>();
    let mut ids = ids.map_err(|_| refused("an execution is named by its id, a whole number"))?;
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() && form.is_on("chosen") {
        return Err(refused("no execution was chosen: tick the boxes of those that are meant, then press the button"));
    }
    Ok(ids)
}

/// The conditions of a filter by their names.
fn conditions(filter: &BulkFilterView) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |name: &str, value: String| all.push((name.to_owned(), value));
    filter.status.iter().for_each(|status| add("status", status.clone()));
    let one = [("job", &filter.job), ("from", &filter.from), ("to", &filter.to), ("text", &filter.text)];
    one.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).for_each(|(name, value)| add(name, value));
    filter.parameter.iter().for_each(|parameter| add("parameter", parameter.clone()));
    filter.instance.iter().for_each(|id| add("instance", id.to_string()));
    filter.ids.iter().for_each(|id| add("id", id.to_string()));
    all
}

const fn word(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Restart => "Restart",
        BulkAction::Stop => "Stop",
        BulkAction::Abandon => "Abandon",
    }
}

const fn done(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Restart => "restarted",
        BulkAction::Stop => "asked to stop",
        BulkAction::Abandon => "given up",
    }
}

/// The work, counted; nothing is changed.
pub(crate) async fn plan(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let input = input(&form)?;
    let (action, filter) = request(&input)?;
    let plan: BulkPlanView = state.engine().plan_bulk_within(action, &filter, COUNTED_FOR).await?.into();
    let mut conditions = conditions(&input.filter);
    let fields = form.fields().filter(|(name, text)| !text.is_empty() && !OF_THE_LIST.contains(name));
    let back = form.get("back").map(str::to_owned);
    page(&PlanPage {
        word: word(action),
        done: done(action),
        plan,
        chosen: input.filter.ids.len(),
        fields: fields.map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
        back: back.unwrap_or_else(|| if form.is_on("chosen") { String::new() } else { form.query_without("action") }),
        commands: commands(&visitor, action, &input, &conditions),
        more_conditions: cut(&mut conditions),
        conditions,
        frame: Frame::new(format!("{} many", word(action)), "bulk", visitor),
    })
}

fn cut(conditions: &mut Vec<(String, String)>) -> usize {
    let more = conditions.len().saturating_sub(CONDITIONS);
    conditions.truncate(CONDITIONS);
    more
}

fn commands(visitor: &Visitor, action: BulkAction, input: &BulkInput, conditions: &[(String, String)]) -> Commands {
    let listed: Vec<String> = conditions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = json!({"action": action.as_str(), "filter": input.filter});
    let (action, filter) = (word(action).to_lowercase(), listed.join(","));
    Call::post("/bulk".to_owned()).with(body).commands(visitor, &[&action, "--where", &filter, "--yes"])
}

/// Begins bulk work.
pub(crate) async fn start(State(state): State<AppState>, form: Form) -> Result<Response, Problem> {
    let (action, filter) = request(&input(&form)?)?;
    let bulk = state.engine().start_bulk(action, filter).await?;
    Ok(Redirect::to(&format!("/ui/bulk/{}", bulk.id.0)).into_response())
}

/// The list of bulk work.
pub(crate) async fn list(State(state): State<AppState>, visitor: Visitor) -> Result<Response, Problem> {
    let bulks = state.engine().bulks().await?.into_iter().map(BulkView::from);
    let bulks = bulks.map(|bulk| (Moment::of(&bulk.create_time), bulk)).collect();
    page(&ListPage { bulks, frame: Frame::new("Bulk work", "bulk", visitor).live("poll") })
}

/// The page of one bulk.
pub(crate) async fn show(
    State(state): State<AppState>,
    PathId(id): PathId,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let bulk: BulkView = state.engine().bulk(BulkId(id)).await?.into();
    let results = state.engine().bulk_results(BulkId(id), PageRequest { before: None, limit: RESULTS }).await?.results;
    let cancel = Call::post(format!("/bulk/{id}/cancel")).curl_alone(&visitor);
    let frame = Frame::new(format!("Bulk work {id}"), "bulk", visitor);
    let mut conditions = conditions(&bulk.filter);
    page(&BulkPage {
        cancel,
        frame: if bulk.end_time.is_none() { frame.live("poll") } else { frame },
        began: Moment::of(&bulk.create_time),
        ended: bulk.end_time.as_deref().map(Moment::of),
        more_conditions: cut(&mut conditions),
        conditions,
        results: results.into_iter().map(Into::into).collect(),
        bulk,
    })
}

/// Cancels what is left of bulk work.
pub(crate) async fn cancel(State(state): State<AppState>, PathId(id): PathId, _: Form) -> Result<Response, Problem> {
    let bulk = state.engine().cancel_bulk(BulkId(id)).await?;
    Ok(Redirect::to(&format!("/ui/bulk/{}", bulk.id.0)).into_response())
}
