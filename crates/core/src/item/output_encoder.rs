//! `OutputEncoder`: makes of outputs what their writer writes, on another thread than the writer's.

use super::ItemError;

/// Makes of outputs the bytes that their writer hands to its target, for a step that works on several threads.
///
/// An encoder is made by [`ItemWriter::encoder`](super::ItemWriter::encoder), and remembers nothing of the outputs:
/// each encoder of a writer makes the same bytes of them.
pub trait OutputEncoder<O>: Send {
    /// Appends outputs to what was encoded.
    ///
    /// # Errors
    /// When one of them cannot be encoded. What was encoded is void then, and the outputs are given to
    /// [`ItemWriter::write`](super::ItemWriter::write), which tells the error.
    fn encode(&mut self, outputs: &[O], into: &mut EncodedOutputs) -> Result<(), ItemError>;

    /// Another one, for another thread, where there can be one.
    fn fork(&self) -> Option<Box<dyn OutputEncoder<O>>>;
}

/// The outputs of a chunk as their writer writes them.
#[derive(Debug, Default)]
pub struct EncodedOutputs {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The number of outputs in them.
    pub outputs: usize,
    /// A number that goes from the encoder to its writer, such as the length before compression; 0 when none is set.
    pub measure: u64,
}

impl EncodedOutputs {
    /// Takes all out, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.outputs, self.measure) = (0, 0);
    }

    /// True if there are no outputs in it.
    pub fn is_empty(&self) -> bool {
        self.outputs == 0
    }
}
