//! The framing of values on the wire: lengths, NULL, the header of an array.

use bytes::{BufMut, BytesMut};

use crate::item::row::RowError;

/// Header of an array of one dimension: dimensions, flags, type of the elements, length, lower bound.
pub(super) const ARRAY_HEADER: usize = 20;

/// NULL in place of a length and a value.
pub(super) fn put_null(out: &mut BytesMut) {
    out.put_i32(-1);
}

/// A value that is as long for each of its type, with its length.
#[inline]
pub(super) fn put_fixed<const N: usize>(out: &mut BytesMut, bytes: [u8; N]) {
    // Infallible: no type is longer than its few bytes.
    out.put_u32(N as u32);
    out.put_slice(&bytes);
}

/// A value of any length, with its length.
#[inline]
pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) -> Result<(), RowError> {
    out.put_i32(i32::try_from(bytes.len()).map_err(|_| too_long())?);
    out.put_slice(bytes);
    Ok(())
}

/// Leaves room for a length.
pub(super) fn begin(out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_i32(0);
    start
}

/// Writes the length of what stands behind `start`.
pub(super) fn end(out: &mut BytesMut, start: usize) -> Result<(), RowError> {
    let length = i32::try_from(out.len() - start - 4).map_err(|_| too_long())?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

pub(super) fn write_array_header(mut header: &mut [u8], element_type: u32, length: usize) -> Result<(), RowError> {
    header.put_i32(1);
    header.put_i32(0);
    header.put_u32(element_type);
    header.put_i32(i32::try_from(length).map_err(|_| too_long())?);
    header.put_i32(1);
    Ok(())
}

fn too_long() -> RowError {
    RowError::new("a value of more than 2 GiB")
}
