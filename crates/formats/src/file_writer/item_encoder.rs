//! The items of a file, encoded on another thread than the writer's.

use super::{Compression, DRAIN_ITEMS, RecordEncoder};
use oxbatch_core::item::{EncodedOutputs, ItemError, OutputEncoder};

/// Encodes items on another thread than the writer's.
pub(super) struct ItemEncoder<E> {
    encoder: E,
    compression: Compression,
}

impl<E> ItemEncoder<E> {
    pub(super) fn new(encoder: E, compression: Compression) -> Self {
        Self { encoder, compression }
    }

    fn encode_items<T>(&mut self, items: &[T], into: &mut EncodedOutputs) -> Result<(), ItemError>
    where
        E: RecordEncoder<T>,
    {
        for part in items.chunks(DRAIN_ITEMS) {
            for item in part {
                // Which of the others does not matter: it is not the first.
                self.encoder.encode(item, 1, &mut into.bytes)?;
            }
            self.encoder.drain(&mut into.bytes)?;
        }
        into.measure = into.bytes.len() as u64;
        if let Some(packed) = self.compression.pack(&into.bytes)? {
            into.bytes = packed;
        }
        Ok(())
    }
}

impl<E: RecordEncoder<T> + 'static, T> OutputEncoder<T> for ItemEncoder<E> {
    fn encode(&mut self, outputs: &[T], into: &mut EncodedOutputs) -> Result<(), ItemError> {
        let encoded = self.encode_items(outputs, into);
        if encoded.is_err() {
            self.encoder.reset();
        }
        encoded
    }

    fn fork(&self) -> Option<Box<dyn OutputEncoder<T>>> {
        let (encoder, compression) = (self.encoder.fork()?, self.compression);
        Some(Box::new(Self { encoder, compression }))
    }
}
