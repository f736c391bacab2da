//! Traces for an OpenTelemetry collector, in a program that is built with the feature `otlp`.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod export;

#[cfg(not(feature = "otlp"))]
pub(crate) use absent::{ExporterError, Traces};
#[cfg(feature = "otlp")]
pub(crate) use export::{ExporterError, Traces};
