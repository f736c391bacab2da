//! The answer of a service that is well.

use serde::Serialize;
use utoipa::ToSchema;

/// The service is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// `live` or `ready`.
    status: &'static str,
}

impl HealthView {
    /// The process lives.
    pub const LIVE: Self = Self { status: "live" };
    /// It can take work.
    pub const READY: Self = Self { status: "ready" };
}
