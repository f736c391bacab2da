//! `serve`: the service, until a signal or a drain ends it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::Engine;
use oxbatch_server::{Bound, ServeError, ServerConfig, bind, serve};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::cli::ServeArgs;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::log::EventLog;
use crate::program::Program;
use crate::signals::Signals;
use crate::{database, output, systemd, trail};

/// The time that requests in work have the database for themselves before the engine, too, begins to shut down: running
/// steps should not wait long for a slow client.
const REQUESTS_FIRST: Duration = Duration::from_millis(500);

/// Takes the address. One that other machines can reach is taken where there is a token, which the database knows.
async fn listen(program: &Program, mut server: ServerConfig) -> Result<Bound, CliError> {
    match bind(&server).await {
        Err(ServeError::NotLoopback { address }) => {
            let repository = database::open_if_there(program.database()?, Access::Read).await;
            // Whatever else is wrong with the database is reported when it is opened to be written.
            if let Ok(Some(repository)) = repository {
                server.has_tokens = repository.has_tokens().await.unwrap_or(false);
                repository.close().await?;
            }
            if server.has_tokens { Ok(bind(&server).await?) } else { Err(ServeError::NotLoopback { address }.into()) }
        }
        bound => Ok(bound?),
    }
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: ServeArgs) -> Result<Exit, CliError> {
    let server = crate::settings::server::resolve(&arguments, &program.sources)?;
    let audit_retention = crate::settings::server::audit_retention(&arguments, &program.sources)?;
    let settings = program.database()?;
    let access = if arguments.migrate { Access::Migrate } else { Access::Write };
    let mut config = program.engine(Some(&arguments))?.config();
    let settings = settings.for_concurrency(config.concurrency)?;
    config.consumers.push(Arc::new(EventLog::of_service()));
    config.listeners.clone_from(&program.listeners);
    config.secrets = program.secrets()?;
    if let Some(channels) = crate::settings::notices::resolve(&program.sources)? {
        config.notices = Some(Arc::new(channels));
    }
    let mut signals = Signals::install().map_err(|source| CliError::Runtime { source })?;
    // The address first: a service that cannot listen must not touch the database.
    let bound = listen(program, server).await?;
    let repository = database::open_or_create(settings, access).await?;
    let location = repository.location();
    let (version, node) = (config.version.clone(), config.node.clone());
    let traces = program.traces(&mut config, &repository)?;
    info!(version, node.name, node.id = %node.boot_id, database = location, "starting");
    let engine = Engine::start(program.registry.clone(), Arc::clone(&repository), config).await?;
    info!(address = %bound.address(), "ready");
    output::line(format!("oxbatch listens on http://{} and keeps everything in {location}", bound.address()))?;
    systemd::ready();
    let shutdown = CancellationToken::new();
    tokio::spawn(trail::prune(repository, audit_retention, shutdown.clone()));
    let mut serving = pin!(serve(bound, engine.clone(), shutdown.clone()));
    let (cause, gone) = tokio::select! {
        () = &mut serving => ("it no longer serves", None),
        signal = signals.next() => (signal.name(), None),
        () = engine.drained() => ("drained", None),
        gone = engine.store_gone() => ("the database is gone", Some(gone)),
        never = systemd::keep_alive() => match never {},
    };
    info!(cause, "stopping");
    systemd::stopping();
    signals.exit_at_next();
    shutdown.cancel();
    let served = tokio::time::timeout(REQUESTS_FIRST, &mut serving).await.is_ok();
    tokio::join!(engine.shutdown(), async {
        if !served {
            serving.await;
        }
    });
    if let Some(traces) = traces {
        traces.close().await;
    }
    info!("stopped");
    match gone {
        Some(gone) => Err(gone.into()),
        None => Ok(Exit::Completed),
    }
}
