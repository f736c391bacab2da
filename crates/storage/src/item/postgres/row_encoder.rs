//! Rows as COPY takes them, encoded on other threads than the writer's.

use std::sync::Arc;

use bytes::BufMut;
use oxbatch_core::item::{EncodedOutputs, ItemError, OutputEncoder};
use serde::Serialize;

use super::encode::{Buffers, Slot};
use super::plan::Plan;
use super::table_rows::{COPY_FROM, WriteForm};

/// Encodes rows as the tuples of a binary COPY.
pub(super) struct RowEncoder {
    slots: Arc<[Slot]>,
    width: i16,
    /// Fewer rows are not for COPY.
    least: usize,
    buffers: Buffers,
}

impl RowEncoder {
    pub(super) fn new(plan: &Plan, form: WriteForm) -> Self {
        let least = if form == WriteForm::Auto { COPY_FROM } else { 1 };
        Self { slots: plan.slots.as_slice().into(), width: plan.width, least, buffers: Buffers::rows() }
    }
}

impl<T: Serialize> OutputEncoder<T> for RowEncoder {
    fn encode(&mut self, outputs: &[T], into: &mut EncodedOutputs) -> Result<(), ItemError> {
        if outputs.len() < self.least {
            return Err(ItemError::other("so few rows are not written by COPY"));
        }
        self.buffers.clear();
        for output in outputs {
            self.buffers.rows_mut().put_i16(self.width);
            self.buffers.put_row(output, &self.slots).map_err(ItemError::validation)?;
        }
        into.bytes.extend_from_slice(self.buffers.rows_mut());
        Ok(())
    }

    fn fork(&self) -> Option<Box<dyn OutputEncoder<T>>> {
        let (slots, buffers) = (Arc::clone(&self.slots), Buffers::rows());
        Some(Box::new(Self { slots, width: self.width, least: self.least, buffers }))
    }
}
