//! The nodes that share the database.

use std::sync::Arc;

use futures_util::FutureExt;
use oxbatch_core::repository::{Drain, Node, NodeReport, NodeStatus, Nodes, Notification, RepositoryFuture};
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::postgres::{PostgresRepository, node};

impl Nodes for PostgresRepository {
    fn register_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()> {
        async move {
            let marked = self.marked().await?;
            self.store.presence.sweep(marked.iter().map(String::as_str));
            // Without a mark the node's death is seen by its lease, as on any other machine.
            if let Err(error) = self.store.presence.announce(node) {
                tracing::debug!(%error, "this node leaves no mark on its machine");
            }
            Ok(())
        }
        .boxed()
    }

    fn heartbeat<'a>(&'a self, report: &'a NodeReport) -> RepositoryFuture<'a, Option<Drain>> {
        // Done twice it is done once, as a renewal is.
        self.read("write the heartbeat", report.clone(), |session, report| node::heartbeat(session, report).boxed())
            .boxed()
    }

    fn nodes(&self) -> RepositoryFuture<'_, Vec<NodeStatus>> {
        self.read("list nodes", Arc::clone(&self.store.presence), |session, presence| {
            node::nodes(session, presence).boxed()
        })
        .boxed()
    }

    fn drain(&self, boot_id: Uuid, drain: Option<Drain>) -> RepositoryFuture<'_, NodeStatus> {
        async move {
            let asked = (Arc::clone(&self.store.presence), boot_id, drain);
            let status = self.write("drain a node", asked, |session, (presence, boot_id, drain)| {
                node::drain(session, presence, *boot_id, *drain).boxed()
            });
            let status = status.await?;
            self.notify_now(Notification::Drain).await;
            Ok(status)
        }
        .boxed()
    }

    fn listen(&self) -> Option<broadcast::Receiver<Notification>> {
        let wanted = self.store.connections.connector.settings().notifications;
        wanted.then(|| self.store.bulletin.listen(&self.store))
    }

    fn remove_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()> {
        self.read("remove a node", node.clone(), |session, node| node::remove(session, node).boxed()).boxed()
    }
}
