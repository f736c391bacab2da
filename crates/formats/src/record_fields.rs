//! The fields of a record, and what becomes of them: a field is text unless the type asks for something else.

mod field;
mod number;
mod row;
mod types;

pub(super) use field::{EmptyFields, Fields, Nulls, Record};
pub(super) use row::FieldError;
#[cfg(feature = "csv")]
pub(super) use row::column;
pub(super) use types::FieldTypes;
