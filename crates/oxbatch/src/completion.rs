//! Completion in a shell, answered by the binary itself: commands, flags, the names of jobs and of their parameters.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use clap_complete::env::CompleteEnv;
use oxbatch_core::{Job, JobRegistry, ParameterDeclaration};

use crate::cli::Cli;

/// Set by the script of a shell, to the shell's name, when it asks for completions.
pub(crate) const VARIABLE: &str = "OXBATCH_COMPLETE";

/// Answers a shell that asks for completions. `false` when none does.
///
/// # Errors
/// When the shell is unknown or the answer cannot be written.
pub(crate) fn answer(registry: &JobRegistry, arguments: &[OsString]) -> Result<bool, clap::Error> {
    let folder = std::env::current_dir().ok();
    let typed = job_in(registry, arguments).cloned();
    let environment = CompleteEnv::with_factory(|| command(registry, typed.clone())).var(VARIABLE);
    environment.try_complete(arguments.iter().cloned(), folder.as_deref())
}

/// The name by which the program was called, for the script.
pub(crate) fn program_name() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    Path::new(&called).file_stem().and_then(OsStr::to_str).unwrap_or("oxbatch").to_owned()
}

/// The first argument that names a job: the parameters that are typed after it are its own.
pub(crate) fn job_in<'a>(registry: &'a JobRegistry, arguments: &[OsString]) -> Option<&'a Job> {
    arguments.iter().filter_map(|argument| argument.to_str()).find_map(|argument| registry.get(argument))
}

/// The command line with the names that this program knows.
fn command(registry: &JobRegistry, typed: Option<Job>) -> Command {
    let jobs: Vec<(String, String)> =
        registry.iter().map(|job| (job.name().to_owned(), job.description().to_owned())).collect();
    let names = move || {
        ArgValueCandidates::new({
            let jobs = jobs.clone();
            move || jobs.iter().map(|(name, text)| candidate(name, text)).collect()
        })
    };
    let mut command = Cli::command();
    for name in ["run", "launch"] {
        let (names, typed) = (names(), typed.clone());
        command = command.mut_subcommand(name, |command| {
            let parameters = ArgValueCompleter::new(move |current: &OsStr| parameters(typed.as_ref(), current));
            command.mut_arg("job", |job| job.add(names)).mut_arg("parameters", |given| given.add(parameters))
        });
    }
    for name in ["executions", "instances"] {
        let names = names();
        command = command.mut_subcommand(name, |command| command.mut_arg("job", |job| job.add(names)));
    }
    command
}

fn candidate(value: impl Into<OsString>, help: &str) -> CompletionCandidate {
    CompletionCandidate::new(value).help((!help.is_empty()).then(|| help.to_owned().into()))
}

/// `KEY=` for each parameter of the job, and `KEY=VALUE` for those that take only some values.
fn parameters(job: Option<&Job>, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let declared = job.and_then(Job::parameters).unwrap_or_default();
    let fitting = declared.iter().flat_map(words).filter(|(word, _)| word.starts_with(&*current));
    fitting.map(|(word, text)| candidate(word, text)).collect()
}

fn words(declaration: &ParameterDeclaration) -> Vec<(String, &str)> {
    let (name, text) = (declaration.name(), declaration.text());
    match declaration.allowed_values() {
        // By its name: what is typed here others can read.
        _ if declaration.is_secret() => vec![(format!("{name}:secret="), text)],
        [] => vec![(format!("{name}="), text)],
        allowed => allowed.iter().map(|value| (format!("{name}={value}"), text)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use oxbatch_core::TaskStep;

    use super::*;

    fn registry() -> JobRegistry {
        let job = Job::builder("Import")
            .description("Imports")
            .parameter(ParameterDeclaration::string("input").description("file"))
            .parameter(ParameterDeclaration::integer("size").allowed([10, 100]))
            .parameter(ParameterDeclaration::string("token").secret().allowed(["hush"]))
            .step(TaskStep::builder("Only", |_| Ok(())));
        JobRegistry::new([job.build().unwrap()]).unwrap()
    }

    #[test]
    fn the_parameters_of_the_typed_job_are_completed() {
        let registry = registry();
        let arguments = ["oxbatch", "--", "oxbatch", "run", "--force", "Import", "s"].map(OsString::from);
        let job = job_in(&registry, &arguments).unwrap();
        let complete = |current: &str| -> Vec<String> {
            let found = parameters(Some(job), OsStr::new(current));
            found.iter().map(|found| found.get_value().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(complete(""), ["input=", "size=10", "size=100", "token:secret="]);
        assert_eq!(complete("si"), ["size=10", "size=100"]);
        assert!(complete("x").is_empty() && parameters(None, OsStr::new("")).is_empty());
    }

    #[test]
    fn the_command_line_with_names_is_sound() {
        command(&registry(), None).debug_assert();
    }
}
