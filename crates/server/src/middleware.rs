//! Middleware: one concern a file; the router stacks them.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod body_size;
pub(crate) mod hosts;
pub(crate) mod load;
pub(crate) mod panics;
pub(crate) mod problems;
pub(crate) mod security_headers;

pub(crate) use hosts::AllowedHosts;
