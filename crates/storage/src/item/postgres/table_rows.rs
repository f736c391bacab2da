//! The rows of a chunk into a table, in the form that is best for their number.

use std::sync::atomic::{AtomicU64, Ordering};

use oxbatch_core::item::{ErrorKind, ItemError};
use serde::Serialize;
use tokio_postgres::{Client, Statement};

use super::encode::Buffers;
use super::error::item_error;
use super::plan::{Action, Plan};
use super::row_encoder::RowEncoder;
use super::send::{self, Messages, Rows, SendError};
use super::table::Table;
use crate::item::row;

/// From so many rows on, COPY is taken instead of arrays. The three thresholds are measured, see `docs/PERFORMANCE.md`;
/// any of the forms is correct at any number.
pub(super) const COPY_FROM: usize = 30;
/// The same, where COPY goes through a temporary table first.
const STAGE_FROM: usize = 10_000;
/// Up to so many rows a statement for each is sent instead of arrays.
const EACH_TO: usize = 1;

/// The way in which the rows of a chunk come to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WriteForm {
    /// The fastest form for their number that can serve.
    #[default]
    Auto,
    /// `COPY … FROM STDIN` in its binary form; for writes by key into a temporary table.
    Copy,
    /// One statement that unnests an array for each column. Columns that are arrays themselves cannot be sent so.
    Arrays,
    /// One `INSERT` for each row, without waiting in between. Inserts alone.
    Each,
}

/// A table, and what rows of one shape need to be written to it.
#[derive(Debug)]
pub(super) struct TableRows {
    /// Which of the writers of a connection it is.
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) action: Action,
    pub(super) only: Option<Vec<String>>,
    pub(super) form: WriteForm,
    /// Constraints that are checked by the commit are left to it.
    pub(super) leaves_deferred: bool,
    /// Its description, once it was read from the catalogue.
    pub(super) table: Option<Table>,
    plan: Option<Plan>,
    rows: Buffers,
    columns: Buffers,
    prepared: Vec<(Prepared, Statement)>,
    /// The temporary table exists on this connection.
    staged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prepared {
    Copy,
    Arrays,
    Each,
    Apply,
}

impl TableRows {
    pub(super) fn new(name: String) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            name,
            action: Action::Insert,
            only: None,
            form: WriteForm::Auto,
            leaves_deferred: false,
            table: None,
            plan: None,
            rows: Buffers::rows(),
            columns: Buffers::columns(0),
            prepared: Vec::new(),
            staged: false,
        }
    }

    /// The purpose of a write, as it reads behind "failed to".
    pub(super) fn purpose(&self) -> String {
        format!("{} table '{}'", self.action.verb(), self.name)
    }

    /// Looks the table up, and checks what can be checked before the first row.
    ///
    /// # Errors
    /// Names the table and the column.
    pub(super) async fn look_up(&mut self, client: &Client) -> Result<&Table, ItemError> {
        let table = Table::find(client, &self.name, &self.action).await?;
        if let Some(only) = &self.only {
            match self.action {
                Action::Insert | Action::Upsert { .. } => table.check_insert(only)?,
                Action::Update { .. } | Action::Delete { .. } => table.check_known(only)?,
            }
        }
        for key in self.action.keys() {
            table.column(key)?;
        }
        if let Action::Upsert { keys, .. } = &self.action {
            table.check_unique(keys)?;
        }
        Ok(self.table.insert(table))
    }

    /// Forgets what belongs to a connection that may be another one from now on.
    pub(super) fn forget_connection(&mut self) {
        self.prepared.clear();
        self.staged = false;
    }

    /// Finds out where the fields go, from the first row.
    pub(super) async fn plan(&mut self, client: &Client, first: &impl Serialize) -> Result<(), ItemError> {
        if self.plan.is_some() {
            return Ok(());
        }
        if self.table.is_none() {
            self.look_up(client).await?;
        }
        let Some(table) = &self.table else { return Err(not_looked_up()) };
        let fields = row::columns(first).map_err(ItemError::validation)?;
        let plan = Plan::new(table, &self.action, &fields, self.only.as_deref())?;
        self.columns = Buffers::columns(usize::try_from(plan.width).unwrap_or_default());
        self.plan = Some(plan);
        Ok(())
    }

    /// The binary form of each row, one after the other; for fingerprints.
    pub(super) fn encoded<'r, T: Serialize + 'r>(
        &mut self,
        outputs: &'r [T],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), ItemError> {
        let Some(plan) = &self.plan else { return Err(not_looked_up()) };
        for (index, output) in outputs.iter().enumerate() {
            self.rows.clear();
            self.rows
                .put_row(output, &plan.slots)
                .map_err(|error| ItemError::validation(error).at(format!("row {} of the chunk", index + 1)))?;
            each(self.rows.rows_mut());
        }
        Ok(())
    }

    /// An encoder of rows for COPY, where that goes straight to the table; none before the first rows were written.
    pub(super) fn encoder(&self) -> Option<RowEncoder> {
        let plan = self.plan.as_ref().filter(|plan| plan.copy.is_some() && plan.staged.is_none())?;
        matches!(self.form, WriteForm::Auto | WriteForm::Copy).then(|| RowEncoder::new(plan, self.form))
    }

    /// True if rows only come, and the last of a chunk does not count for more than those of another.
    pub(super) fn are_inserted(&self) -> bool {
        self.action == Action::Insert
    }

    /// True if so many rows go straight into the table by COPY, and nothing has to follow them.
    pub(super) fn streams(&self, rows: usize) -> bool {
        let goes_by_copy = |plan: &Plan| plan.staged.is_none() && self.form_for(plan, rows) == WriteForm::Copy;
        !self.checks_deferred() && self.plan.as_ref().is_some_and(goes_by_copy)
    }

    /// The statement of such a COPY, if the connection knows it.
    pub(super) fn known_copy(&self) -> Option<Statement> {
        let known = self.prepared.iter().find(|(prepared, _)| *prepared == Prepared::Copy);
        known.map(|(_, statement)| statement.clone())
    }

    /// The statement of such a COPY.
    pub(super) async fn prepare_copy(&mut self, client: &Client) -> Result<Statement, SendError> {
        let sql = self.plan.as_ref().and_then(|plan| plan.copy.clone());
        self.statement(client, Prepared::Copy, sql.as_deref()).await
    }

    /// Rows as the messages of such a COPY.
    pub(super) fn messages<'a, 'r, T: Serialize + 'r>(
        &'a mut self,
        outputs: &'r [T],
        new: bool,
    ) -> Result<Messages<'a, impl Rows<&'r T>>, SendError> {
        let Some(plan) = &self.plan else { return Err(SendError::Row(not_looked_up())) };
        Ok(Messages::new(plan, &mut self.rows, outputs.iter().enumerate(), new))
    }

    /// Writes rows by COPY that such an encoder has encoded.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(super) async fn write_encoded(&mut self, client: &Client, rows: &[u8]) -> Result<(), ItemError> {
        let Some(plan) = self.plan.take() else { return Err(not_looked_up()) };
        let statement = self.statement(client, Prepared::Copy, plan.copy.as_deref()).await;
        self.plan = Some(plan);
        let sent = match statement {
            Ok(statement) => send::copy_encoded(client, &statement, rows).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(()) => self.check_deferred(client).await.map_err(|refused| refused.error),
            Err(SendError::Row(error)) => Err(error),
            Err(SendError::Server(error, _)) => Err(item_error(&self.purpose(), error)),
        }
    }

    fn form_for(&self, plan: &Plan, rows: usize) -> WriteForm {
        let can = |form| match form {
            WriteForm::Copy => plan.copy.is_some(),
            WriteForm::Arrays => plan.arrays.is_some(),
            WriteForm::Each => plan.each.is_some(),
            WriteForm::Auto => false,
        };
        let copy_from = if plan.staged.is_some() { STAGE_FROM } else { COPY_FROM };
        let best = match rows {
            _ if rows <= EACH_TO => WriteForm::Each,
            _ if rows >= copy_from => WriteForm::Copy,
            _ => WriteForm::Arrays,
        };
        let wanted = if self.form == WriteForm::Auto { best } else { self.form };
        let order = [wanted, WriteForm::Arrays, WriteForm::Copy, WriteForm::Each];
        order.into_iter().find(|form| can(*form)).unwrap_or(WriteForm::Each)
    }

    /// Writes rows in the transaction of the connection.
    ///
    /// # Errors
    /// The kind of the error and, where it can be reported, the row; `Located::No` when another attempt by COPY could
    /// name it.
    pub(super) async fn write<'r, T: Serialize + 'r>(
        &mut self,
        client: &Client,
        rows: impl Rows<&'r T>,
        located: Located,
    ) -> Result<(), WriteError> {
        let purpose = self.purpose();
        let Some(plan) = self.plan.take() else { return Err(not_looked_up().into()) };
        let count = rows.clone().count();
        let form = if located == Located::Yes { WriteForm::Copy } else { self.form_for(&plan, count) };
        let written = self.write_as(client, &plan, form, rows).await;
        let can_locate = form == WriteForm::Arrays && plan.copy.is_some();
        self.plan = Some(plan);
        let error = match written {
            Ok(None) => return self.check_deferred(client).await,
            Ok(Some((row, key))) => {
                let keys = self.action.keys().join(", ");
                let message = format!("failed to {purpose}: no row has the key ({keys}) = ({key})");
                let refused = ItemError::new(ErrorKind::Constraint, message).at(format!("row {row} of the chunk"));
                return Err(refused.into());
            }
            Err(SendError::Row(error)) => return Err(error.into()),
            Err(SendError::Server(error, index)) => {
                let refused = item_error(&purpose, error);
                match index {
                    Some(index) => refused.at(format!("row {} of the chunk", index + 1)),
                    None => refused,
                }
            }
        };
        let of_a_row = matches!(error.kind(), ErrorKind::Constraint | ErrorKind::Validation);
        let another_attempt = can_locate && of_a_row && error.position().is_none();
        Err(WriteError { error, another_attempt })
    }

    fn checks_deferred(&self) -> bool {
        !self.leaves_deferred && self.table.as_ref().is_some_and(|table| table.defers)
    }

    /// Checks what the commit would check: there it would be no error of the rows, which can be skipped.
    async fn check_deferred(&self, client: &Client) -> Result<(), WriteError> {
        if !self.checks_deferred() {
            return Ok(());
        }
        let checked = client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await;
        checked.map_err(|error| item_error(&self.purpose(), error).into())
    }

    /// Writes; the answer is the first row whose key nobody has, and the key.
    async fn write_as<'r, T: Serialize + 'r>(
        &mut self,
        client: &Client,
        plan: &Plan,
        form: WriteForm,
        rows: impl Rows<&'r T>,
    ) -> Result<Option<(i64, String)>, SendError> {
        let answers = match form {
            WriteForm::Arrays | WriteForm::Auto => {
                let statement = self.statement(client, Prepared::Arrays, plan.arrays.as_deref()).await?;
                send::arrays(client, &statement, plan, &mut self.columns, rows).await?
            }
            WriteForm::Each => {
                let statement = self.statement(client, Prepared::Each, plan.each.as_deref()).await?;
                send::each(client, &statement, plan, &mut self.rows, rows).await?;
                Vec::new()
            }
            WriteForm::Copy => {
                if let (Some(staged), false) = (&plan.staged, self.staged) {
                    client.batch_execute(&staged.create).await?;
                    self.staged = true;
                }
                let statement = self.statement(client, Prepared::Copy, plan.copy.as_deref()).await?;
                send::copy(client, &statement, plan, &mut self.rows, rows).await?;
                match &plan.staged {
                    Some(staged) => {
                        let statement = self.statement(client, Prepared::Apply, Some(&staged.apply)).await?;
                        client.query(&statement, &[]).await?
                    }
                    None => Vec::new(),
                }
            }
        };
        match answers.first() {
            Some(row) => Ok(Some((row.try_get(0)?, row.try_get(1)?))),
            None => Ok(None),
        }
    }

    async fn statement(&mut self, client: &Client, which: Prepared, sql: Option<&str>) -> Result<Statement, SendError> {
        if let Some((_, statement)) = self.prepared.iter().find(|(prepared, _)| *prepared == which) {
            return Ok(statement.clone());
        }
        let Some(sql) = sql else { return Err(SendError::Row(not_looked_up())) };
        let statement = client.prepare(sql).await?;
        self.prepared.push((which, statement.clone()));
        Ok(statement)
    }
}

fn not_looked_up() -> ItemError {
    ItemError::other("the writer is used before it is open")
}

/// `true` if a write is to find the bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Located {
    No,
    Yes,
}

/// Why rows could not be written.
pub(super) struct WriteError {
    pub(super) error: ItemError,
    /// Another attempt, to find the row, would say more.
    pub(super) another_attempt: bool,
}

impl From<ItemError> for WriteError {
    fn from(error: ItemError) -> Self {
        Self { error, another_attempt: false }
    }
}
