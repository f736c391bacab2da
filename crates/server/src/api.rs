//! The resources of the interface, a file each: the shapes of their answers and their handlers.

pub(crate) mod executions;
pub(crate) mod health;
pub(crate) mod instances;
pub(crate) mod jobs;
pub(crate) mod launch;
pub(crate) mod operate;
mod page;
pub(crate) mod steps;
mod value;
