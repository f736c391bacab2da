//! Reads the command line: a command to run, or an answer that ends the program at once.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory, FromArgMatches};
use oxbatch_core::{Job, JobRegistry};

use super::{Cli, Command};
use crate::commands::help::of_job;
use crate::completion::job_in;
use crate::error::CliError;
use crate::output;
use crate::settings::output::{COLOUR, ColourChoice, parse_choice};

/// An answer in place of a command.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Help, the version or a usage error, in the words of clap.
    Clap(clap::Error),
    /// The help of a job.
    JobHelp(String),
    /// Help was asked for something that is not there.
    Refused(CliError),
}

impl Reply {
    /// Prints the answer; the exit code that goes with it.
    pub(crate) fn print(self) -> ExitCode {
        match self {
            Self::Clap(answer) => {
                // There is nobody left to report to when it cannot be printed.
                let _ = answer.print();
                u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
            }
            Self::JobHelp(text) => output::line(text).map_or_else(CliError::print, |()| ExitCode::SUCCESS),
            Self::Refused(error) => error.print(),
        }
    }
}

/// Reads the command line of a program with these jobs; of one whose jobs could not be built without them.
pub(crate) fn parse(arguments: &[OsString], registry: Option<&JobRegistry>) -> Result<Cli, Reply> {
    match with_default_command(arguments) {
        Ok(Cli { command: Some(Command::Help(help)), .. }) => Err(help_of(arguments, &help.words, registry)),
        Ok(cli) => Ok(cli),
        Err(answer) if answer.kind() == ErrorKind::DisplayHelp => Err(match job_named(arguments, registry) {
            Some((command, job)) => Reply::JobHelp(of_job(job, command)),
            None => Reply::Clap(answer),
        }),
        Err(answer) => Err(Reply::Clap(answer)),
    }
}

/// Flags of the service may stand without the word `serve`, since it is the default.
fn with_default_command(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let error = match with_clap(arguments) {
        Err(error) if error.kind() == ErrorKind::UnknownArgument => error,
        parsed => return parsed,
    };
    let mut with_serve = arguments.to_vec();
    with_serve.insert(with_serve.len().min(1), "serve".into());
    with_clap(&with_serve).map_err(|_| error)
}

fn with_clap(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command().color(colours(arguments));
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The colours of help and usage errors, which are printed before any setting is resolved.
fn colours(arguments: &[OsString]) -> ColorChoice {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let joined = texts.iter().find_map(|text| text.strip_prefix("--color="));
    let apart = texts.windows(2).find_map(|pair| (pair[0] == COLOUR.flag).then_some(pair[1]));
    let variable = std::env::var(COLOUR.variable).ok();
    match joined.or(apart).or(variable.as_deref()).and_then(|text| parse_choice(text).ok()) {
        Some(ColourChoice::Always) => ColorChoice::Always,
        Some(ColourChoice::Never) => ColorChoice::Never,
        Some(ColourChoice::Auto) | None => ColorChoice::Auto,
    }
}

/// The help that `help WORDS` asks for.
fn help_of(arguments: &[OsString], words: &[String], registry: Option<&JobRegistry>) -> Reply {
    if let (Some(registry), [command @ ("run" | "launch"), name, ..]) = (registry, texts(words).as_slice()) {
        return match registry.get(name) {
            Some(job) => Reply::JobHelp(of_job(job, command)),
            None => Reply::Refused(CliError::unknown_job(name, registry)),
        };
    }
    if let Some(job) = registry.zip(words.first()).and_then(|(registry, name)| registry.get(name)) {
        return Reply::JobHelp(of_job(job, "run"));
    }
    let asked = arguments.iter().take(1).cloned().chain(words.iter().map(Into::into)).chain(["--help".into()]);
    match with_clap(&asked.collect::<Vec<_>>()) {
        Err(answer) => Reply::Clap(answer),
        // `--help` is always answered.
        Ok(_) => Reply::Clap(Cli::command().error(ErrorKind::DisplayHelp, "")),
    }
}

fn texts(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The job after `run` or `launch`, with that command.
fn job_named<'a>(arguments: &[OsString], registry: Option<&'a JobRegistry>) -> Option<(&'static str, &'a Job)> {
    let commands = ["run", "launch"];
    let is_command = |argument: &OsString| commands.into_iter().find(|command| argument == command);
    let (at, command) = arguments.iter().enumerate().find_map(|(at, argument)| Some((at, is_command(argument)?)))?;
    Some((command, job_in(registry?, &arguments[at + 1..])?))
}

#[cfg(test)]
mod tests {
    use oxbatch_core::TaskStep;

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Cli, Reply> {
        let job = Job::builder("Import").step(TaskStep::builder("Only", |_| Ok(()))).build().unwrap();
        let arguments: Vec<OsString> = ["oxbatch"].iter().chain(arguments).map(Into::into).collect();
        parse(&arguments, Some(&JobRegistry::new([job]).unwrap()))
    }

    fn answer(arguments: &[&str]) -> String {
        match parsed(arguments) {
            Err(Reply::Clap(answer)) => answer.to_string(),
            Err(Reply::JobHelp(text)) => format!("job: {text}"),
            Err(Reply::Refused(error)) => format!("error: {error}"),
            Ok(cli) => panic!("{cli:?}"),
        }
    }

    #[test]
    fn flags_of_the_service_need_no_command() {
        let cli = parsed(&["--database", "a.db", "--listen", "127.0.0.1:9"]).unwrap();
        assert_eq!(cli.globals.database.as_deref(), Some("a.db"));
        assert!(matches!(cli.command, Some(Command::Serve(serve)) if serve.listen.as_deref() == Some("127.0.0.1:9")));
        assert!(parsed(&[]).unwrap().command.is_none());
        assert!(parsed(&["--listen", "x", "jobs"]).is_err());
        assert!(answer(&["--nonsense"]).contains("--nonsense"));
    }

    #[test]
    fn help_is_that_of_the_job_where_one_is_named() {
        for arguments in [
            &["run", "Import", "--help"][..],
            &["run", "--force", "Import", "day=1", "-h"],
            &["launch", "Import", "--help"],
            &["help", "run", "Import"],
            &["help", "Import"],
        ] {
            assert!(answer(arguments).starts_with("job: Usage: "), "{arguments:?}");
        }
        for arguments in [&["run", "--help"][..], &["run", "Nope", "--help"], &["help", "run"]] {
            assert!(answer(arguments).contains("[KEY=VALUE]..."), "{arguments:?}");
        }
        assert!(answer(&["help"]).contains("Commands:"));
        assert!(answer(&["help", "skips", "rerun"]).contains("skips rerun"));
        assert!(answer(&["help", "nope"]).contains("'nope'"));
        assert_eq!(answer(&["help", "run", "Nope"]), "error: job not found: 'Nope'; the jobs are Import");
    }
}
