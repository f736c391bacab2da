//! Jobs whose code repeats their secrets wherever it can.

use std::time::Duration;

use oxbatch::item::{FunctionWriter, ListReader};
use oxbatch::listener::{Listeners, StepEnd, StepListener};
use oxbatch::{
    BoxError, BuildError, ChunkStep, ItemError, Job, JobRegistry, ParameterDeclaration, RegistryError, SkipPolicy,
    StepContext, TaskOutcome, TaskStep,
};
use tracing::{error, info, warn};

/// The name of the job that says its secrets in each way.
pub(crate) const LEAKY: &str = "Leaky";
/// The name of the job that panics with its secret.
pub(crate) const PANICKING: &str = "Panicking";
/// The name of the job whose exit code is its secret.
pub(crate) const CODED: &str = "Coded";

/// The text of the secret `password`.
fn password(context: &StepContext) -> Result<String, BoxError> {
    Ok(context.parameters().secret("password")?.expose().to_owned())
}

/// A listener that fails with the secret.
struct Chatty;

impl StepListener for Chatty {
    async fn after_step(&self, context: &StepContext, _: &StepEnd) -> Result<Option<String>, BoxError> {
        Err(format!("the listener has seen {}", password(context)?).into())
    }
}

fn leaky() -> Result<Job, BuildError> {
    let import = ChunkStep::builder("Import")
        .reader(|_| ListReader::new([1, 2, 3]))
        .processor(|context| {
            let secret = password(context).unwrap_or_default();
            oxbatch::item::FunctionProcessor::new(move |number: i32| match number {
                2 => Err(ItemError::other(format!("number 2 is refused by {secret}, {secret:?}"))),
                number => Ok(Some(format!("{number} {secret}"))),
            })
        })
        .writer(|_| FunctionWriter::new(|_: &[String]| Ok(())))
        .skip(SkipPolicy::new(5).any_kind())
        .preview()
        .rerun_skips();
    let fetch = TaskStep::builder::<_, ()>("Fetch", |context| {
        let (secret, pin) = (password(context)?, context.parameters().optional_secret("pin")?);
        info!(password = secret, ?pin, "logs in as admin:{secret}@shop");
        warn!("{}", serde_json::json!({ "password": secret }));
        error!(error = %format!("{secret:?} is refused"), "login");
        let shown = context.parameters().secret("password")?;
        info!("shown {shown} {shown:?} {:?}", context.parameters());
        let pin = pin.map(|pin| pin.expose().to_owned()).unwrap_or_default();
        let refused = [
            context.put("note", &secret).is_err(),
            context.put_into_job("note", [format!("of {secret}")]).is_err(),
            context.set_job_exit_code(&secret).is_err(),
        ];
        Err(format!("login with {secret} and {pin} refused, contexts refused: {refused:?}").into())
    });
    Job::builder(LEAKY)
        .parameter(ParameterDeclaration::string("password").secret().required())
        .parameter(ParameterDeclaration::integer("pin").secret().between(1000, 99_999_999))
        .parameter(ParameterDeclaration::integer("n"))
        .step(import)
        .step(
            fetch.max_retries(1).retry_delay(Duration::from_millis(1)).listener(|_| Ok(Listeners::new().step(Chatty))),
        )
        .build()
}

fn panicking() -> Result<Job, BuildError> {
    Job::builder(PANICKING)
        .parameter(ParameterDeclaration::string("password").secret().required())
        .step(TaskStep::builder::<_, ()>("Panic", |context| panic!("of {}", password(context)?)))
        .build()
}

fn coded() -> Result<Job, BuildError> {
    Job::builder(CODED)
        .parameter(ParameterDeclaration::string("password").secret().required())
        .step(TaskStep::builder("Code", |context| Ok(TaskOutcome::CompletedWith { exit_code: password(context)? })))
        .build()
}

pub(crate) fn registry() -> Result<JobRegistry, BoxError> {
    JobRegistry::new([leaky()?, panicking()?, coded()?]).map_err(|error: RegistryError| error.into())
}
