//! The export of traces: `OXBATCH_OTLP_ENDPOINT`.

use super::{Setting, SettingError, Sources};
use crate::cli::GlobalArgs;

/// The collector.
pub(crate) const ENDPOINT: Setting = Setting {
    flag: "--otlp-endpoint",
    variable: "OXBATCH_OTLP_ENDPOINT",
    key: "traces.otlp_endpoint",
    text: "Address of an OpenTelemetry collector that gets a span for each execution and step, by OTLP over HTTP",
    default: "none",
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 1] = [ENDPOINT];

/// The address to which spans are sent.
pub(crate) fn resolve(globals: &GlobalArgs, sources: &Sources) -> Result<Option<String>, SettingError> {
    sources.read(&ENDPOINT, globals.otlp_endpoint.as_deref(), endpoint)
}

/// The address of the collector's traces: the path of the protocol, under the address that is given.
fn endpoint(text: &str) -> Result<String, String> {
    if cfg!(not(feature = "otlp")) {
        return Err("this program was built without the export of traces: build it with the feature otlp".to_owned());
    }
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_address = |rest: &&str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic());
    match rest.filter(is_address) {
        Some(_) => Ok(format!("{}/v1/traces", text.trim_end_matches('/'))),
        None => Err(format!("'{text}' is no address, such as http://localhost:4318")),
    }
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use super::*;

    #[test]
    fn spans_go_to_the_path_of_the_protocol() {
        for text in ["http://localhost:4318", "http://localhost:4318/"] {
            assert_eq!(endpoint(text), Ok("http://localhost:4318/v1/traces".to_owned()));
        }
        assert_eq!(endpoint("https://x/otlp"), Ok("https://x/otlp/v1/traces".to_owned()));
        for text in ["", "localhost:4318", "http://", "grpc://x", "http://a b"] {
            assert!(endpoint(text).unwrap_err().ends_with("is no address, such as http://localhost:4318"), "{text}");
        }
    }
}
