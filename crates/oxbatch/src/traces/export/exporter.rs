//! The exporter of OpenTelemetry with the client of this program, on threads that may block.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter as OtlpExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::runtime::Handle;

use super::client::Client;

/// The reason why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported")]
pub(crate) struct ExporterError(#[source] opentelemetry_otlp::ExporterBuildError);

/// Sends spans to a collector. The variables of OpenTelemetry for headers, resource attributes and the name of the
/// service hold.
pub(super) struct Exporter(Arc<OtlpExporter>);

impl Exporter {
    pub(super) fn new(endpoint: String, version: &str, node: &str) -> Result<Self, ExporterError> {
        let exporter = OtlpExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint);
        let mut exporter = exporter.build().map_err(ExporterError)?;
        exporter.set_resource(&resource(version, node));
        Ok(Self(Arc::new(exporter)))
    }

    /// Sends spans; the time is bounded by the exporter.
    pub(super) async fn export(&self, spans: Vec<SpanData>) -> Result<(), String> {
        let exporter = Arc::clone(&self.0);
        let handle = Handle::current();
        let sent = tokio::task::spawn_blocking(move || handle.block_on(exporter.export(spans)));
        sent.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

/// The names under which a collector shows the process.
fn resource(version: &str, node: &str) -> Resource {
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty());
    let resource = Resource::builder();
    let resource = if named { resource } else { resource.with_service_name("oxbatch") };
    resource
        .with_attribute(KeyValue::new("service.version", version.to_owned()))
        .with_attribute(KeyValue::new("service.instance.id", node.to_owned()))
        .build()
}
