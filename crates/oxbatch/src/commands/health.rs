//! `health`: the answer of a running service to its readiness, as an exit code: for containers and scripts.

use clap::Args;

use crate::cli::ServeArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::RemoteService;
use crate::settings::{Origin, SettingError, server};

/// Arguments of `health`.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {}

/// Runs the command: the service that is named, else the one that listens here as the settings say.
pub(crate) async fn run(program: &Program, _: HealthArgs) -> Result<Exit, CliError> {
    let service = match program.service()? {
        Some(service) => service,
        None => {
            let config = server::resolve(&ServeArgs::default(), &program.sources)?;
            let address = format!("http://{}", reachable(&config.listen));
            let origin = Origin::Key { key: "listen".to_owned(), file: "the settings".to_owned() };
            RemoteService::new(&address).map_err(|problem| SettingError::Invalid { origin, problem })?
        }
    };
    service.check_ready().await?;
    output::line("ready")?;
    Ok(Exit::Completed)
}

/// The address by which this machine reaches a service that listens on all of its addresses.
fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        _ => listen.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_on_all_addresses_is_asked_on_the_loopback() {
        assert_eq!(reachable("0.0.0.0:8000"), "127.0.0.1:8000");
        assert_eq!(reachable("[::]:80"), "[::1]:80");
        assert_eq!(reachable("batch.example:8000"), "batch.example:8000");
    }
}
