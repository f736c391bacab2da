//! `RecordEncoder`: the writing of a format.

use oxbatch_core::item::ItemError;

/// Writes the items of a file in a format, with what stands before, between and after them; the counterpart of a
/// [`RecordDecoder`](crate::RecordDecoder).
///
/// # Contract
/// - For each file: `begin`, then `encode` for each item, then `end`; `begin` is put off until there is an item or the
///   end.
/// - `reset` comes at any time: what was collected is void. The next call is `begin`, or `encode` of an item that
///   follows others in a file of an earlier attempt.
/// - Bytes may be kept back until `drain`. Without failing it gives all of them.
/// - In a file that is [appended to](crate::OnExisting::Append) and holds text already, `begin` is left out.
/// - Nothing is remembered of the items: the same file comes out wherever chunks end and attempts die.
pub trait RecordEncoder<T>: Send {
    /// Checks the settings. Called before the file is touched.
    ///
    /// # Errors
    /// When one is missing or contradicts another.
    fn check(&self) -> Result<(), ItemError> {
        Ok(())
    }

    /// Checks that items may stand behind those of another file: true of lines, not of a document that has an end.
    /// Called before the file is touched, where [`OnExisting::Append`](crate::OnExisting::Append) is set.
    ///
    /// # Errors
    /// When they may not, unless a format says otherwise.
    fn check_append(&self) -> Result<(), ItemError> {
        Err(ItemError::other(
            "this format cannot be appended to: its encoder has no `check_append`; use `OnExisting::Refuse` or `OnExisting::Replace`",
        ))
    }

    /// Forgets what was collected and not drained.
    fn reset(&mut self) {}

    /// Writes the start of a file, with the author's header where the format has a place for it.
    ///
    /// # Errors
    /// When the start cannot be written in this format.
    fn begin(&mut self, header: &str, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        buffer.extend_from_slice(header.as_bytes());
        Ok(())
    }

    /// Writes an item and what separates it from the one before; `before` is the number of items in the file before it.
    ///
    /// # Errors
    /// When the item cannot be written in this format; half of it may stand in the buffer.
    fn encode(&mut self, item: &T, before: u64, buffer: &mut Vec<u8>) -> Result<(), ItemError>;

    /// Hands over what was kept back.
    ///
    /// # Errors
    /// When it cannot be written.
    fn drain(&mut self, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        let _ = buffer;
        Ok(())
    }

    /// The same encoder once more, for another thread. It is given items that all stand behind others in a file, and is
    /// [drained](Self::drain) behind the last of those that are written at once. `None` where there can be no other, or
    /// none yet.
    fn fork(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Writes the end of a file of so many items, with the author's footer where the format has a place for it.
    ///
    /// # Errors
    /// When the end cannot be written in this format.
    fn end(&mut self, items: u64, footer: &str, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        let _ = items;
        buffer.extend_from_slice(footer.as_bytes());
        Ok(())
    }
}
