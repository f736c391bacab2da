//! Nodes that can die inside of the test's process: from one moment on nothing of theirs reaches the database.

use oxbatch_core::{Engine, Job};

use crate::harness::{Nodes, TestStore};

/// The connection of a node to its database.
pub(crate) struct Lifeline {
    nodes: Nodes,
    #[cfg(feature = "postgres")]
    proxy: Option<oxbatch_test_postgres::Proxy>,
}

impl TestStore {
    /// A node that can die.
    pub(crate) async fn mortal(&self, jobs: impl IntoIterator<Item = Job>) -> (Engine, Lifeline) {
        #[cfg(feature = "postgres")]
        if let Some(database) = self.database() {
            let proxy = oxbatch_test_postgres::Proxy::before(database.url());
            let settings = oxbatch_storage::PostgresSettings::from_url(proxy.url()).unwrap();
            let repository = oxbatch_storage::PostgresRepository::open(settings).await.unwrap();
            let engine = Self::start(std::sync::Arc::new(repository), jobs, |_| {}).await;
            return (engine, Lifeline { nodes: self.nodes().clone(), proxy: Some(proxy) });
        }
        let lifeline = Lifeline {
            nodes: self.nodes().clone(),
            #[cfg(feature = "postgres")]
            proxy: None,
        };
        (self.node(jobs).await, lifeline)
    }
}

impl Lifeline {
    /// Kills the node. To the others it is dead whose mark is gone.
    pub(crate) async fn cut(self, engine: &Engine) {
        self.nodes.has_died(engine);
        #[cfg(feature = "postgres")]
        if let Some(proxy) = self.proxy {
            drop(proxy);
            // The mark goes first; what else would be put in order needs the database, which it waits for in vain.
            let closing = engine.repository().close();
            let _ = tokio::time::timeout(std::time::Duration::from_millis(1), closing).await;
            return;
        }
        engine.repository().close().await.unwrap();
    }
}
