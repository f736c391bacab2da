//! The buffers of a chunk: memory for its items and outputs, used again for the next.

use crate::item::{EncodedOutputs, Origin};

/// The contents of a chunk; their memory is used again.
pub(super) struct Buffers<I, O> {
    pub(super) outputs: Vec<O>,
    /// All of the outputs, encoded, where they were encoded on the way: they themselves may be gone then.
    pub(super) encoded: EncodedOutputs,
    /// The item of each output, where skipped items are kept.
    pub(super) inputs: Vec<I>,
    /// The origin of each of these items.
    pub(super) origins: Vec<Option<Origin>>,
}

impl<I, O> Buffers<I, O> {
    pub(super) fn with_outputs(outputs: Vec<O>) -> Self {
        Self { outputs, encoded: EncodedOutputs::default(), inputs: Vec::new(), origins: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.outputs.clear();
        self.encoded.clear();
        self.inputs.clear();
        self.origins.clear();
    }

    /// The number of the outputs, encoded or not.
    pub(super) fn written(&self) -> usize {
        if self.encoded.is_empty() { self.outputs.len() } else { self.encoded.outputs }
    }
}

impl<I, O> Default for Buffers<I, O> {
    fn default() -> Self {
        Self::with_outputs(Vec::new())
    }
}

/// A count as it is stored.
pub(super) fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
