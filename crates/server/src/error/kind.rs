//! The closed set of problems: what each is called and which status code it has.

use axum::http::StatusCode;
use oxbatch_core::repository::Missing;

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    MalformedRequest,
    InvalidQuery,
    InvalidHeader,
    MalformedBody,
    Unauthorized,
    Forbidden,
    ReadOnly,
    TooManyFailures,
    CrossOrigin,
    NothingHere,
    JobNotFound,
    ExecutionNotFound,
    InstanceNotFound,
    StepNotFound,
    NodeNotFound,
    ScheduleNotFound,
    FireNotFound,
    BackfillNotFound,
    ChannelNotFound,
    BulkNotFound,
    NoticeNotFound,
    BulkRefused,
    PauseRefused,
    ScheduleConflict,
    InvalidSchedule,
    MethodNotAllowed,
    BodyTimeout,
    AlreadyRunning,
    Abandoned,
    NotRestartable,
    DefinitionChanged,
    NoRunNumber,
    WrongStatus,
    StalePlan,
    NotRerunnable,
    NotPreviewable,
    BodyTooLarge,
    UnsupportedMediaType,
    UnknownHost,
    NoObject,
    InvalidParameters,
    KeyReused,
    QueueFull,
    TooManyPreviews,
    LimitReached,
    Internal,
    Overloaded,
    ShuttingDown,
    NotReady,
    StoreUnavailable,
}

impl ProblemKind {
    /// Status code, last part of the type's URI, title.
    const fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedRequest => (StatusCode::BAD_REQUEST, "malformed-request", "Malformed request"),
            Self::InvalidQuery => (StatusCode::BAD_REQUEST, "invalid-query", "Invalid query parameters"),
            Self::InvalidHeader => (StatusCode::BAD_REQUEST, "invalid-header", "Invalid header"),
            Self::MalformedBody => (StatusCode::BAD_REQUEST, "malformed-body", "Malformed body"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Token needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Role does not suffice"),
            Self::ReadOnly => (StatusCode::FORBIDDEN, "read-only", "Read-only service"),
            Self::TooManyFailures => (StatusCode::TOO_MANY_REQUESTS, "too-many-failures", "Too many failed logins"),
            Self::CrossOrigin => (StatusCode::FORBIDDEN, "cross-origin", "Request from a foreign page"),
            Self::NothingHere => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::JobNotFound => (StatusCode::NOT_FOUND, "job-not-found", Missing::Job.sentence()),
            Self::ExecutionNotFound => (StatusCode::NOT_FOUND, "execution-not-found", Missing::Execution.sentence()),
            Self::InstanceNotFound => (StatusCode::NOT_FOUND, "instance-not-found", Missing::Instance.sentence()),
            Self::StepNotFound => (StatusCode::NOT_FOUND, "step-not-found", Missing::StepExecution.sentence()),
            Self::NodeNotFound => (StatusCode::NOT_FOUND, "node-not-found", Missing::Node.sentence()),
            Self::ScheduleNotFound => (StatusCode::NOT_FOUND, "schedule-not-found", Missing::Schedule.sentence()),
            Self::FireNotFound => (StatusCode::NOT_FOUND, "fire-not-found", Missing::Fire.sentence()),
            Self::BackfillNotFound => (StatusCode::NOT_FOUND, "backfill-not-found", Missing::Backfill.sentence()),
            Self::ChannelNotFound => (StatusCode::NOT_FOUND, "channel-not-found", Missing::Channel.sentence()),
            Self::NoticeNotFound => (StatusCode::NOT_FOUND, "notice-not-found", Missing::Notice.sentence()),
            Self::BulkNotFound => (StatusCode::NOT_FOUND, "bulk-not-found", Missing::Bulk.sentence()),
            Self::BulkRefused => (StatusCode::CONFLICT, "bulk-refused", "Bulk work refused"),
            Self::PauseRefused => (StatusCode::CONFLICT, "pause-refused", "Pause refused"),
            Self::ScheduleConflict => (StatusCode::CONFLICT, "schedule-conflict", "Schedule forbids it"),
            Self::InvalidSchedule => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-schedule", "Invalid schedule"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body-timeout", "Body came too slowly"),
            Self::AlreadyRunning => (StatusCode::CONFLICT, "already-running", "Already running"),
            Self::Abandoned => (StatusCode::CONFLICT, "abandoned", "Abandoned"),
            Self::NotRestartable => (StatusCode::CONFLICT, "not-restartable", "Not restartable"),
            Self::DefinitionChanged => (StatusCode::CONFLICT, "definition-changed", "Definition changed"),
            Self::NoRunNumber => (StatusCode::CONFLICT, "no-run-number", "No run number left"),
            Self::WrongStatus => (StatusCode::CONFLICT, "wrong-status", "Status forbids it"),
            Self::StalePlan => (StatusCode::CONFLICT, "stale-plan", "Plan does not hold any more"),
            Self::NotRerunnable => (StatusCode::CONFLICT, "not-rerunnable", "Nothing to run again"),
            Self::NotPreviewable => (StatusCode::CONFLICT, "not-previewable", "Nothing to preview"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type")
            }
            Self::UnknownHost => (StatusCode::MISDIRECTED_REQUEST, "unknown-host", "Unknown host"),
            Self::NoObject => (StatusCode::UNPROCESSABLE_ENTITY, "no-object", "Body is no object of parameters"),
            Self::InvalidParameters => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-parameters", "Invalid job parameters")
            }
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "Idempotency key reused"),
            Self::QueueFull => (StatusCode::TOO_MANY_REQUESTS, "queue-full", "Queue full"),
            Self::LimitReached => (StatusCode::TOO_MANY_REQUESTS, "limit-reached", "Limit reached"),
            Self::TooManyPreviews => (StatusCode::TOO_MANY_REQUESTS, "too-many-previews", "Too many previews"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Overloaded"),
            Self::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting-down", "Shutting down"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
            Self::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "Store unavailable"),
        }
    }

    pub(crate) const fn status(self) -> StatusCode {
        self.row().0
    }

    pub(crate) fn uri(self) -> String {
        format!("urn:oxbatch:problem:{}", self.row().1)
    }

    pub(crate) const fn title(self) -> &'static str {
        self.row().2
    }
}
