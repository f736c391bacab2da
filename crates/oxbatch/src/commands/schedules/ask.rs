//! The questions of the command, to the database or of a service: the answers have the shapes of the HTTP interface.

use jiff::Timestamp;
use oxbatch_core::engine::Scheduler;
use oxbatch_core::repository::{FireId, FireOutcome, Missing, PageRequest, PauseScope};
use oxbatch_server::view::{FireView, PauseInput, PauseView, ScheduleInput, ScheduleView};
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;
use crate::remote::{Query, RemoteService, encode};

/// Those who are asked.
pub(super) enum Asked {
    Database(Scheduler),
    Service(RemoteService),
}

fn value(view: impl Serialize) -> Result<Value, CliError> {
    serde_json::to_value(view).map_err(|error| CliError::Output { source: std::io::Error::other(error) })
}

fn path(name: &str, rest: &str) -> String {
    format!("/schedules/{}{rest}", encode(name))
}

/// The path of a range of pauses.
fn range(scope: PauseScope, name: &str, verb: &str) -> String {
    match scope {
        PauseScope::Schedule => path(name, &format!("/{verb}")),
        PauseScope::Job => format!("/jobs/{}/schedules/{verb}", encode(name)),
        PauseScope::All if verb == "pause" => "/pauses".to_owned(),
        PauseScope::All => format!("/pauses/{verb}"),
    }
}

impl Asked {
    pub(super) async fn list(&self) -> Result<Vec<Value>, CliError> {
        match self {
            Self::Database(scheduler) => {
                scheduler.list(1).await?.into_iter().map(|it| value(ScheduleView::from(it))).collect()
            }
            Self::Service(service) => Ok(service.read_list("/schedules?next=1").await?.0),
        }
    }

    pub(super) async fn get(&self, name: &str, next: u16) -> Result<Value, CliError> {
        match self {
            Self::Database(scheduler) => value(ScheduleView::from(scheduler.get(name, next.into()).await?)),
            Self::Service(service) => {
                let path = path(name, &format!("?next={next}"));
                Ok(service.read_named(&path, Missing::Schedule, name).await?)
            }
        }
    }

    pub(super) async fn add(&self, input: &ScheduleInput) -> Result<Value, CliError> {
        match self {
            Self::Database(scheduler) => {
                let schedule = input.schedule().map_err(|problem| CliError::Schedule { problem })?;
                value(ScheduleView::from(scheduler.add(&input.job, &schedule).await?))
            }
            Self::Service(service) => {
                Ok(service.change_named("/schedules", Some(value(input)?), Missing::Job, &input.job).await?)
            }
        }
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), CliError> {
        match self {
            Self::Database(scheduler) => Ok(scheduler.remove(name).await?),
            Self::Service(service) => {
                service.change_named(&path(name, "/remove"), None, Missing::Schedule, name).await?;
                Ok(())
            }
        }
    }

    pub(super) async fn pause(
        &self,
        scope: PauseScope,
        name: &str,
        reason: &str,
        until: Option<Timestamp>,
    ) -> Result<Value, CliError> {
        match self {
            Self::Database(scheduler) => value(PauseView::from(scheduler.pause(scope, name, reason, until).await?)),
            Self::Service(service) => {
                let input = PauseInput { reason: reason.to_owned(), until: until.map(|until| until.to_string()) };
                let body = Some(value(input)?);
                Ok(service.change_named(&range(scope, name, "pause"), body, whose(scope), name).await?)
            }
        }
    }

    pub(super) async fn resume(&self, scope: PauseScope, name: &str) -> Result<(), CliError> {
        match self {
            Self::Database(scheduler) => Ok(scheduler.resume(scope, name).await?),
            Self::Service(service) => {
                service.change_named(&range(scope, name, "resume"), None, whose(scope), name).await?;
                Ok(())
            }
        }
    }

    pub(super) async fn run_now(&self, name: &str) -> Result<Value, CliError> {
        match self {
            Self::Database(scheduler) => value(FireView::from(scheduler.run_now(name).await?)),
            Self::Service(service) => {
                Ok(service.change_named(&path(name, "/run"), None, Missing::Schedule, name).await?)
            }
        }
    }

    pub(super) async fn run_fire(&self, id: i64) -> Result<Value, CliError> {
        match self {
            Self::Database(scheduler) => value(FireView::from(scheduler.run_fire(FireId(id)).await?)),
            Self::Service(service) => {
                let path = format!("/fires/{id}/run");
                Ok(service.change_named(&path, None, Missing::Fire, &id.to_string()).await?)
            }
        }
    }

    /// A page of fires and the cursor of the next.
    pub(super) async fn fires(
        &self,
        name: Option<&str>,
        outcome: Option<FireOutcome>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>), CliError> {
        match self {
            Self::Database(scheduler) => {
                let page = PageRequest { before: super::super::before(cursor)?, limit };
                let page = scheduler.fires(name, outcome, page).await?;
                let fires = page.fires.into_iter().map(|fire| value(FireView::from(fire))).collect::<Result<_, _>>()?;
                Ok((fires, page.next.map(|next| next.to_string())))
            }
            Self::Service(service) => {
                let query = Query::default().with("outcome", outcome).with("limit", Some(limit)).with("cursor", cursor);
                let list = name.map_or_else(|| "/fires".to_owned(), |name| path(name, "/fires"));
                Ok(service.read_list_named(&query.on(&list), Missing::Schedule, name.unwrap_or_default()).await?)
            }
        }
    }
}

fn whose(scope: PauseScope) -> Missing {
    if scope == PauseScope::Job { Missing::Job } else { Missing::Schedule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_paths() {
        assert_eq!(range(PauseScope::Schedule, "a b", "pause"), "/schedules/a%20b/pause");
        assert_eq!(range(PauseScope::Job, "J", "resume"), "/jobs/J/schedules/resume");
        assert_eq!(range(PauseScope::All, "", "pause"), "/pauses");
        assert_eq!(range(PauseScope::All, "", "resume"), "/pauses/resume");
    }
}
