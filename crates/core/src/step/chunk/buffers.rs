//! The memory of a chunk: outputs and items, used again for the next.

/// What a chunk holds; its memory is used again.
pub(super) struct Buffers<I, O> {
    pub(super) outputs: Vec<O>,
    /// The item of each output, where skipped items are kept.
    pub(super) inputs: Vec<I>,
}

impl<I, O> Buffers<I, O> {
    pub(super) fn clear(&mut self) {
        self.outputs.clear();
        self.inputs.clear();
    }
}

impl<I, O> Default for Buffers<I, O> {
    fn default() -> Self {
        Self { outputs: Vec::new(), inputs: Vec::new() }
    }
}

/// A count as it is stored.
pub(super) fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
