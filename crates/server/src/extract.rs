//! Reads the parts of a request strictly: what is unknown or does not fit is refused by name.

pub(crate) mod body;
pub(crate) mod header;
pub(crate) mod path;
pub(crate) mod query;

pub(crate) use path::{PathId, PathName};
pub(crate) use query::{NoQuery, QueryReader, Strict, StrictQuery};
