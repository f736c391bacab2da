//! The declaration of the control totals of a chunk step.

use std::sync::Arc;

use super::builder::ChunkStepBuilder;
use crate::decimal::Summand;
use crate::execution::ControlTotals;
use crate::item::{BoxError, ItemProcessor, ItemReader};
use crate::step::context::StepContext;

impl<R: ItemReader, P, W> ChunkStepBuilder<R, P, W> {
    /// A control total: a named sum over the items that are read and over those that are written, where both are of one
    /// type. Set after the processor; `|_| 1` counts items, and a condition counts those that meet it.
    ///
    /// Sums are exact decimal numbers, committed with their chunks and kept over all attempts. What is filtered or
    /// skipped is summed from the item that was read. At the end of the input, before the output is published, the step
    /// fails unless `read = written + filtered + skipped`, or by [`control_rule`](Self::control_rule). A number that is
    /// not finite or a sum of more than 38 digits fails the step at once.
    #[must_use]
    pub fn control_total<V, F>(mut self, name: impl Into<String>, take: F) -> Self
    where
        P: ItemProcessor<R::Item, Output = R::Item>,
        R::Item: 'static,
        V: Summand,
        F: Fn(&R::Item) -> V + Clone + Send + Sync + 'static,
    {
        let name = name.into();
        self.totals.read(name.clone(), take.clone());
        self.totals.written(name, take);
        self
    }

    /// The side of a [`control_total`](Self::control_total) that sums what is read. With one of the same name [on what
    /// is written](Self::control_total_written) it must balance; alone it is for show and for the author's rule.
    #[must_use]
    pub fn control_total_read<V, F>(mut self, name: impl Into<String>, take: F) -> Self
    where
        V: Summand,
        F: Fn(&R::Item) -> V + Send + Sync + 'static,
    {
        self.totals.read(name.into(), take);
        self
    }

    /// The side of a [`control_total`](Self::control_total) that sums what is written. Set after the processor.
    #[must_use]
    pub fn control_total_written<V, F>(mut self, name: impl Into<String>, take: F) -> Self
    where
        P: ItemProcessor<R::Item>,
        P::Output: 'static,
        V: Summand,
        F: Fn(&P::Output) -> V + Send + Sync + 'static,
    {
        self.totals.written(name.into(), take);
        self
    }

    /// The rule of the control totals at the end of the input, in the place of the balance: against the value of a
    /// trailer record, say, which the processor has put into the step's context. An error fails the step before its
    /// output is published. [`ControlTotals::balance`] is the rule without one.
    #[must_use]
    pub fn control_rule<F>(mut self, rule: F) -> Self
    where
        F: Fn(&ControlTotals, &StepContext) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        self.totals.rule(Arc::new(rule));
        self
    }
}
