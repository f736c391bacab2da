//! `run --preview`: the first items of a job, input next to output; nothing is written or stored.

use std::path::PathBuf;
use std::sync::Arc;

use oxbatch_core::Job;
use oxbatch_core::engine::{Operator, Preview, PreviewEnd, PreviewOptions};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::JobRepository;
use oxbatch_core::step::{PreviewOutcome, PreviewedItem};
use oxbatch_server::view::PreviewView;
use oxbatch_storage::SqliteRepository;

use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::program::Program;
use crate::table::{Align, Table, shorten};
use crate::{database, output};

/// Longest text in a row.
const MAX_TEXT: usize = 60;

/// Previews a step of `job`.
pub(super) async fn run(
    program: &Program,
    job: &Job,
    given: GivenParameters,
    options: PreviewOptions,
    json: bool,
) -> Result<Exit, CliError> {
    let mut folder = None;
    let repository = match database::open_if_there(program.database()?, Access::Write).await? {
        Some(repository) => repository,
        None => scratch(&mut folder)?,
    };
    let mut config = program.engine(None)?.operator();
    config.secrets = program.secrets()?;
    let operator = Operator::new(program.registry.clone(), Arc::clone(&repository), config);
    let shown = operator.preview(job, given, options, ()).await?;
    repository.close().await?;
    let exit = match &shown.end {
        PreviewEnd::Enough | PreviewEnd::EndOfInput => Exit::Completed,
        PreviewEnd::OutOfTime => Exit::TimedOut,
        PreviewEnd::Failed(_) => Exit::Failed,
    };
    if json {
        output::json(&PreviewView::new(job.name().to_owned(), shown))?;
        return Ok(exit);
    }
    table(&shown).print()?;
    output::line("")?;
    output::line(summary(job, &shown))?;
    match &shown.end {
        PreviewEnd::Failed(message) => output::remark(output::plain(&format!("error: {message}"))),
        PreviewEnd::OutOfTime => output::remark("the time for a preview was over; what was seen by then is shown"),
        PreviewEnd::Enough | PreviewEnd::EndOfInput => {}
    }
    Ok(exit)
}

/// A database for readers of one, where there is none yet: it goes away with the preview.
fn scratch(folder: &mut Option<Scratch>) -> Result<Arc<dyn JobRepository>, CliError> {
    let runtime = |source| CliError::Runtime { source };
    let path = std::env::temp_dir().join(format!("oxbatch-preview-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&path).map_err(runtime)?;
    let folder = folder.insert(Scratch(path));
    Ok(Arc::new(SqliteRepository::open(&folder.0.join("oxbatch.db"))?))
}

/// A folder that is removed when it is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it is the system's to remove.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn table(shown: &Preview) -> Table {
    let left = ["RESULT", "INPUT", "OUTPUT"].map(|name| (name, Align::Left));
    let mut table = Table::new([("ITEM", Align::Right)].into_iter().chain(left));
    let text = |text: &str| shorten(&output::plain(text).replace('\n', " "), MAX_TEXT);
    for (number, PreviewedItem { input, outcome }) in (1..).zip(&shown.items) {
        let (result, result_text) = match outcome {
            PreviewOutcome::Output(output) => ("output", output.to_string()),
            PreviewOutcome::Filtered => ("filtered", "-".to_owned()),
            PreviewOutcome::Failed { position, error, .. } => {
                let at = position.as_ref().map(|position| format!("{position}: ")).unwrap_or_default();
                ("FAILED", format!("{at}{error}"))
            }
        };
        let raw = match outcome {
            PreviewOutcome::Failed { raw, .. } => raw.clone(),
            _ => None,
        };
        let input = input.as_ref().map(ToString::to_string).or(raw).unwrap_or_else(|| "-".to_owned());
        table.row([number.to_string(), result.to_owned(), text(&input), text(&result_text)]);
    }
    table
}

fn summary(job: &Job, shown: &Preview) -> String {
    let count = |is: fn(&PreviewOutcome) -> bool| shown.items.iter().filter(|item| is(&item.outcome)).count();
    let end = match shown.end {
        PreviewEnd::EndOfInput => ", and the input ends there",
        _ => "",
    };
    format!(
        "the first {} items of step '{}' of {}{end}: output {}  filtered {}  failed {}; nothing was written or stored",
        shown.items.len(),
        shown.step_name,
        job.name(),
        count(|outcome| matches!(outcome, PreviewOutcome::Output(_))),
        count(|outcome| matches!(outcome, PreviewOutcome::Filtered)),
        count(|outcome| matches!(outcome, PreviewOutcome::Failed { .. })),
    )
}
