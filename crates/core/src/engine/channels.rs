//! The channels of notices of all services on one store, as one of them compares them now and then.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::state::EngineState;
use crate::event::Event;
use crate::notice::NoticeSender;
use crate::repository::rules::channels::duty;
use crate::repository::{NodeState, RepositoryError, ServiceChannels};

/// The comparison of a service, and what it has said already.
#[derive(Debug, Default)]
pub(super) struct Channels {
    said: BTreeSet<String>,
    has_started: bool,
}

impl Channels {
    /// Sets the channels of this service, and forgets those of services that are replaced. Returns the channels to
    /// which notices are due and which no service has that lives.
    pub(super) async fn compare(
        &mut self,
        state: &EngineState,
        sender: Option<&dyn NoticeSender>,
    ) -> Result<Vec<String>, RepositoryError> {
        let repository = &state.repository;
        let now = repository.agenda().await?.now;
        let channels = sender.map(NoticeSender::channels).unwrap_or_default();
        let mine = ServiceChannels { node: state.config.node.clone(), confirm_time: now, channels };
        let nodes = repository.nodes().await?;
        let lives = |id: Uuid| nodes.iter().any(|it| it.report.node.boot_id == id && it.state != NodeState::Gone);
        let duty = duty(&mine, &repository.notice_channels().await?, lives, !self.has_started);
        if duty.is_due {
            repository.set_notice_channels(mine, duty.gone).await?;
        }
        self.has_started = true;
        for problem in duty.remarks.iter().filter(|remark| !self.said.contains(*remark)) {
            state.events.emit(&Event::ChannelsDiffer { problem });
        }
        self.said = duty.remarks.into_iter().collect();
        let mut due = repository.due_channels(now).await?;
        due.retain(|name| !duty.live.contains(name));
        Ok(due)
    }
}
