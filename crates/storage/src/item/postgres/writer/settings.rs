//! The settings of a writer into a table: what its rows do there, and how they are sent.

use oxbatch_core::StepContext;
use tokio_postgres::types::ToSql;

use super::{Checkpointed, Parameter, PostgresWriter, Target};
use crate::item::once::RunKey;
use crate::item::postgres::once::Once;
use crate::item::postgres::plan::Action;
use crate::item::postgres::table_rows::WriteForm;

impl<T> PostgresWriter<T> {
    /// Writes to another database exactly once: each of its transactions updates a row of its table
    /// `oxbatch_checkpoint`, which is created when it is missing, and a restart leaves out the rows that are there
    /// already, also after a loss of power that has taken many chunks from the repository. It costs a fingerprint of
    /// each row, and a wait for the repository's disk every 16 chunks or 4,096 rows. The input must bring the same rows
    /// again after a restart, and the processor make the same of them: no time of day; when they do not, the step fails
    /// and says so. In the repository's own database nothing is changed by it.
    ///
    /// The row of a run that is complete goes when the next run of the step begins; those of runs that were purged
    /// before are needed by nobody.
    #[must_use]
    pub fn exactly_once(mut self, context: &StepContext) -> Self {
        if let Target::Remote { once, .. } = &mut self.target {
            let key = RunKey::new(context, self.rows.name.clone());
            *once = Some(Box::new(Checkpointed { once: Once::new(key), context: context.clone() }));
        }
        self
    }

    /// Rows replace those with the same key, over whose columns the table must have a unique index; all other columns
    /// are updated. Of rows with the same key within a chunk the last one wins.
    #[must_use]
    pub fn upsert<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.action = Action::Upsert { keys: names(keys), updates: None };
        self
    }

    /// As [`upsert`](Self::upsert), but of a row that is there only these columns are updated; without any, it is left
    /// as it is.
    #[must_use]
    pub fn upsert_only<K: Into<String>, C: Into<String>>(
        mut self,
        keys: impl IntoIterator<Item = K>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        self.rows.action = Action::Upsert { keys: names(keys), updates: Some(names(columns)) };
        self
    }

    /// Rows update those with the same key. A key that no row has is an error of kind *constraint* that names it. Of
    /// rows with the same key within a chunk the last one wins.
    #[must_use]
    pub fn update<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.action = Action::Update { keys: names(keys) };
        self
    }

    /// Rows delete those with the same key; their other fields count for nothing. A key that no row has is an error of
    /// kind *constraint* that names it.
    #[must_use]
    pub fn delete<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rows.action = Action::Delete { keys: names(keys) };
        self
    }

    /// Names the fields that are written; the others are left out. The columns are then checked when the step opens,
    /// and not with its first row.
    #[must_use]
    pub fn columns<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.rows.only = Some(names(columns));
        self
    }

    /// Sets the way in which rows are sent; [`WriteForm::Auto`] when it is not set. A form that cannot serve is
    /// replaced by one that can.
    #[must_use]
    pub fn form(mut self, form: WriteForm) -> Self {
        self.rows.form = form;
        self
    }

    /// Leaves constraints that are deferred to the commit of the chunk, for a step that keeps them by what another
    /// writer writes after this one; a breach fails the step then, whatever its skip policy says. Otherwise they are
    /// checked with the rows of each chunk, and a row that breaches one can be skipped.
    #[must_use]
    pub fn leave_deferred(mut self) -> Self {
        self.rows.leaves_deferred = true;
        self
    }

    /// Statements that create what is missing, run in the transaction of the first chunk, or at the end of an empty
    /// input: `CREATE TABLE IF NOT EXISTS …; CREATE INDEX IF NOT EXISTS …`.
    #[must_use]
    pub fn create(mut self, statements: impl Into<String>) -> Self {
        self.create = Some(statements.into());
        self
    }

    /// A statement that removes what an earlier run has left, run in the transaction of the first chunk of a fresh
    /// start and never on a resume: `DELETE FROM strikes WHERE source = $1`.
    #[must_use]
    pub fn replace<V: ToSql + Sync + Send + 'static>(
        mut self,
        statement: impl Into<String>,
        parameters: impl IntoIterator<Item = V>,
    ) -> Self {
        let parameters = parameters.into_iter().map(|value| Box::new(value) as Parameter).collect();
        self.replace = Some((statement.into(), parameters));
        self
    }
}

fn names<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Vec<String> {
    names.into_iter().map(Into::into).collect()
}
