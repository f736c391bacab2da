//! `help`: the help of a command, and of a job with its parameters.

use clap::Args;
use oxbatch_core::step::StepKind;
use oxbatch_core::{Job, ParameterDeclaration, Step};

use crate::completion::program_name;
use crate::output;
use crate::table::columns;

/// Arguments of `help`.
#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A command, or 'run' and the name of a job
    #[arg(value_name = "COMMAND")]
    pub(crate) words: Vec<String>,
}

/// The help of a job: its purpose, its parameters and its steps.
pub(crate) fn of_job(job: &Job, command: &str) -> String {
    let (program, name) = (program_name(), output::one_line(job.name()));
    let takes = if job.parameters().is_some_and(<[_]>::is_empty) { "" } else { " [KEY=VALUE]..." };
    let mut parts = Vec::new();
    if !job.description().is_empty() {
        parts.push(output::plain(job.description()));
    }
    parts.push(format!("Usage: {program} {command} {name} [OPTIONS]{takes}"));
    parts.push(match job.parameters() {
        None => "Parameters: any; numbers (as JSON writes them) and dates are detected".to_owned(),
        Some([]) => "Parameters: none".to_owned(),
        Some(declared) => format!("Parameters:\n{}", indented(columns(declared.iter().map(parameter)))),
    });
    parts.push(format!("Steps:\n{}", indented(columns(job.steps().iter().map(step)))));
    parts.push(format!("Options: see '{program} {command} --help'"));
    parts.join("\n\n")
}

fn indented(lines: Vec<String>) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn parameter(declaration: &ParameterDeclaration) -> Vec<String> {
    let shown = |value: &oxbatch_core::ParameterValue| output::one_line(&value.to_string());
    let mut notes = Vec::new();
    if declaration.is_required() && declaration.default_or_none().is_none() {
        notes.push("[required]".to_owned());
    }
    match declaration.default_or_none() {
        Some(_) if declaration.is_secret() => notes.push("[has a default]".to_owned()),
        Some(value) => notes.push(format!("[default: {}]", shown(value))),
        None => {}
    }
    if !declaration.allowed_values().is_empty() && !declaration.is_secret() {
        let allowed: Vec<_> = declaration.allowed_values().iter().map(shown).collect();
        notes.push(format!("[one of: {}]", allowed.join(", ")));
    }
    if let Some((minimum, maximum)) = declaration.range() {
        notes.push(format!("[from {minimum} to {maximum}]"));
    }
    if declaration.is_secret() {
        notes.push("[secret]".to_owned());
    }
    if !declaration.is_identifying() {
        notes.push("[does not identify the instance]".to_owned());
    }
    let text = output::one_line(declaration.text());
    let text = [text].into_iter().filter(|text| !text.is_empty()).chain(notes).collect::<Vec<_>>().join(" ");
    vec![declaration.name().to_owned(), declaration.kind().as_str().to_owned(), text]
}

fn step(step: &Step) -> Vec<String> {
    let text = match step.kind() {
        StepKind::Chunk { size: Some(size) } => format!("reads, processes and writes items in chunks of {size}"),
        StepKind::Chunk { size: None } => "reads, processes and writes items in chunks".to_owned(),
        _ => "a task".to_owned(),
    };
    vec![step.name().to_owned(), text]
}

#[cfg(test)]
mod tests {
    use oxbatch_core::TaskStep;

    use super::*;

    #[test]
    fn the_help_of_a_job_tells_what_a_launch_must_know_and_no_secret() {
        let job = Job::builder("Import")
            .description("Imports a day")
            .parameter(ParameterDeclaration::date_time("day").required().description("Day of the file"))
            .parameter(ParameterDeclaration::integer("size").default_value(100).between(1, 1_000))
            .parameter(ParameterDeclaration::string("mode").allowed(["full", "delta"]).non_identifying())
            .parameter(ParameterDeclaration::string("token").secret().default_value("hush").allowed(["hush"]))
            .step(TaskStep::builder("Only", |_| Ok(())))
            .build()
            .unwrap();
        let help = of_job(&job, "run");
        assert!(help.starts_with("Imports a day\n\nUsage: "), "{help}");
        for line in [
            "  day    DATETIME  Day of the file [required]\n",
            "  size   INTEGER   [default: 100] [from 1 to 1000]\n",
            "  mode   STRING    [one of: full, delta] [does not identify the instance]\n",
            "  token  STRING    [has a default] [secret] [does not identify the instance]\n",
            "  Only  a task\n",
        ] {
            assert!(help.contains(line), "{line:?} is missing in {help}");
        }
        assert!(!help.contains("hush"), "{help}");
    }
}
