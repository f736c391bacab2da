//! Help, lists, details, and the operator's commands.

use insta::assert_snapshot;

use crate::harness::{TestStore, stable_json};

#[test]
fn help_tells_commands_settings_and_exit_codes() {
    let place = TestStore::new();
    assert_snapshot!("help", place.run("--help"));
    assert_snapshot!("help_serve", place.run("serve --help"));
    assert_snapshot!("help_run", place.run("run --help"));
    assert_snapshot!("help_purge", place.run("purge --help"));
}

#[test]
fn the_jobs_are_listed_without_a_database() {
    let place = TestStore::new();
    assert_snapshot!("jobs", place.run("jobs"));
    let jobs = place.run("jobs --json").expect(0).json();
    assert_snapshot!("jobs_json", stable_json(jobs.as_array().unwrap().last().unwrap().clone()));
    assert!(!place.path("oxbatch.db").exists(), "a list created a database");
}

#[test]
fn executions_are_listed_filtered_and_paged() {
    let place = TestStore::new();
    for arguments in ["run SampleJob", "run FailingJob", "run ChunkJob", "run SampleJob day=2024-01-01 note=a"] {
        place.run(arguments);
    }
    assert_snapshot!("executions", place.run("executions"));
    assert_snapshot!("executions_filtered", place.run("executions --job SampleJob --status completed --instance 1"));
    assert_snapshot!("executions_first_page", place.run("executions --limit 3"));
    assert_snapshot!("executions_second_page", place.run("executions --limit 3 --cursor 2"));
    assert_snapshot!("executions_bad_filters", place.run("executions --status done"));
    assert_eq!(place.run("executions --to 2000-01-01 --json").expect(0).json(), serde_json::json!([]));
    let ids: Vec<i64> = place
        .run("executions --from 2000-01-01 --json")
        .expect(0)
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|execution| execution["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [4, 3, 2, 1]);
}

#[test]
fn an_execution_is_shown_with_its_steps() {
    let place = TestStore::new();
    place.run("run ChunkJob");
    place.run("run FailingJob");
    assert_snapshot!("show", place.run("show 1"));
    assert_snapshot!("show_failed", place.run("show 2"));
    assert_snapshot!("show_json", stable_json(place.run("show 2 --json").expect(0).json()));
    assert_snapshot!("show_unknown", place.run("show 99"));
    assert_snapshot!("show_no_id", place.run("show first"));
}

#[test]
fn a_preview_shows_the_first_items_and_leaves_nothing_behind() {
    let place = TestStore::new();
    assert_snapshot!("preview", place.run("run ChunkJob --preview 4"));
    let shown = place.run("run ChunkJob --preview 500 --json").expect(0).json();
    assert_eq!((&shown["end"], &shown["output_count"]), (&"END_OF_INPUT".into(), &25.into()));
    assert_snapshot!("preview_no_step", place.run("run ChunkJob --preview 4 --step Write"));
    assert_snapshot!("preview_task", place.run("run SampleJob --preview 4"));
    assert_snapshot!("preview_too_many", place.run("run ChunkJob --preview 501"));
    place.run("run ChunkJob --preview 4 --force").expect(2);
    place.run("run ChunkJob --step ProcessNumbers").expect(2);
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0, "a preview left something behind");
    place.run("run SampleJob");
    place.run("run ChunkJob --preview 4").expect(0);
    assert_eq!(place.query("SELECT count(*) FROM oxbatch_job_instance"), 1);
}

#[test]
fn there_is_nothing_to_rerun_where_nothing_was_skipped() {
    let place = TestStore::new();
    place.run("run ChunkJob");
    assert_snapshot!("skips_none", place.run("skips 1"));
    assert_snapshot!("rerun_nothing", place.run("skips rerun 1"));
    assert_snapshot!("rerun_unknown", place.run("skips rerun 9"));
    place.run("skips").expect(2);
}

#[test]
fn an_abandoned_execution_can_only_be_forced() {
    let place = TestStore::new();
    place.run("run FailingJob");
    assert_snapshot!("abandon", place.run("abandon 1"));
    assert_snapshot!("abandoned_restart", place.run("restart 1"));
    assert_snapshot!("abandoned_run", place.run("run FailingJob"));
    place.run("run FailingJob --force").expect(1);
}

#[test]
fn what_has_ended_is_neither_stopped_nor_restarted() {
    let place = TestStore::new();
    place.run("run SampleJob");
    assert_snapshot!("stop_ended", place.run("stop 1"));
    assert_snapshot!("restart_completed", place.run("restart 1"));
    assert_snapshot!("abandon_completed", place.run("abandon 1"));
}

#[test]
fn a_dry_run_says_what_a_restart_would_do_and_its_tag_holds_until_that_is_done() {
    let place = TestStore::new();
    place.run("run FailingJob").expect(1);
    assert_snapshot!("restart_dry_run", place.run("restart 1 --dry-run"));
    let plan = place.run("restart 1 --dry-run --json").expect(0).json();
    assert_eq!(place.query("SELECT count(*) FROM oxbatch_job_execution"), 1);
    let tag = plan["tag"].as_str().unwrap();
    place.run(&format!("restart 1 --plan {tag}")).expect(1);
    let stale = place.run(&format!("restart 1 --plan {tag}")).expect(4);
    assert!(stale.stderr.contains("does not hold any more"), "{stale}");
    assert_eq!(place.query("SELECT count(*) FROM oxbatch_job_execution"), 2);
    place.run("run SampleJob").expect(0);
    assert_snapshot!("restart_dry_run_completed", place.run("restart 3 --dry-run"));
    place.run("restart 99 --dry-run").expect(2);
}

#[test]
fn a_purge_counts_first_and_keeps_what_could_be_restarted() {
    let place = TestStore::new();
    for arguments in ["run SampleJob", "run SampleJob --force", "run FailingJob"] {
        place.run(arguments);
    }
    assert_snapshot!("purge_unbounded", place.run("purge"));
    assert_snapshot!("purge_running", place.run("purge --older-than 1d --status started"));
    assert_snapshot!("purge_bad_time", place.run("purge --older-than yesterday"));
    assert_snapshot!("purge_nothing", place.run("purge --older-than 30d"));
    assert_snapshot!("purge_dry_run", place.run("purge --older-than 0s --dry-run"));
    assert_eq!(place.query("SELECT count(*) FROM oxbatch_job_execution"), 3);
    assert_snapshot!("purge_keep", place.run("purge --keep 1"));
    assert_snapshot!("purge", place.run("purge --older-than 0s --json"));
    assert_snapshot!("purge_restartable", place.run("purge --older-than 0s --include-restartable"));
    assert_eq!(place.query("SELECT count(*) FROM oxbatch_job_execution"), 0);
}

#[test]
fn completions_are_printed_for_each_shell() {
    let place = TestStore::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = place.run(&format!("completions {shell}")).expect(0);
        assert!(done.stdout.contains("OXBATCH_COMPLETE") && done.stderr.is_empty(), "{shell}");
    }
    assert_snapshot!("completions_unknown", place.run("completions tcsh"));
}

/// The script of a shell asks the program itself.
#[test]
fn commands_jobs_and_parameters_are_completed() {
    let place = TestStore::new();
    let complete = |words: &[&str]| {
        let mut command = place.command("--");
        command.env("OXBATCH_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        let done = place.finish(command.env("_CLAP_IFS", "\n").args(words)).expect(0);
        done.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["oxbatch", "exec"]), ["executions"]);
    assert_eq!(complete(&["oxbatch", "run", "S"]), ["SampleJob"]);
    assert_eq!(complete(&["oxbatch", "launch", "--force", "Wild"]), ["WildlifeStrikes"]);
    assert_eq!(complete(&["oxbatch", "run", "WildlifeStrikes", "in"]), ["input="]);
    assert_eq!(complete(&["oxbatch", "executions", "--job", "Re"]), ["RetryJob"]);
}

#[test]
fn the_help_of_a_job_lists_its_parameters() {
    let place = TestStore::new();
    assert_snapshot!("help_run_job", place.run("help run WildlifeStrikes"));
    let same = place.run("run WildlifeStrikes --help");
    assert_eq!(same.stdout, place.run("help WildlifeStrikes").stdout);
    assert!(place.run("launch SampleJob -h").expect(0).stdout.contains("launch SampleJob [OPTIONS] [KEY=VALUE]"));
    assert!(place.run("help run Nope").expect(2).stderr.contains("job not found: 'Nope'; the jobs are ChunkJob"));
    assert_eq!(place.run("help purge").expect(0).stdout, place.run("purge --help").stdout);
    assert_eq!(place.run("help").expect(0).stdout, place.run("--help").stdout);
}

#[test]
fn colours_go_into_a_pipe_only_when_they_are_asked_for() {
    let place = TestStore::new();
    place.run("run FailingJob").expect(1);
    for arguments in ["executions", "show 1", "executions --color never", "--help", "show 99"] {
        let done = place.run(arguments);
        assert!(!done.stdout.contains('\u{1b}') && !done.stderr.contains('\u{1b}'), "{arguments}: {done}");
    }
    let painted = place.run("--color always executions").expect(0).stdout;
    assert!(painted.contains("\u{1b}[31mFAILED\u{1b}[0m"), "{painted}");
    assert!(
        place.run("show 99 --color always").expect(2).stderr.starts_with("\u{1b}[31merror:\u{1b}[0m execution not")
    );
    assert!(place.run("--help --color=always").stdout.contains('\u{1b}'));
    let wrong = place.run("executions --color sometimes").expect(2).stderr;
    assert!(wrong.contains("flag --color: 'sometimes' is none of auto, always and never"), "{wrong}");
}

#[test]
fn instances_are_listed_and_paged() {
    let place = TestStore::new();
    for arguments in ["run SampleJob", "run ChunkJob", "run SampleJob day=2024-01-01"] {
        place.run(arguments).expect(0);
    }
    let ids = |arguments: &str| -> Vec<i64> {
        let listed = place.run(arguments).expect(0).json();
        listed.as_array().unwrap().iter().map(|instance| instance["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids("instances --json"), [3, 2, 1]);
    assert_eq!(ids("instances --job SampleJob --json"), [3, 1]);
    assert_eq!(ids("instances --limit 1 --cursor 3 --json"), [2]);
    let page = place.run("instances --limit 2").expect(0);
    assert!(page.stdout.starts_with("ID  JOB") && page.stderr.contains("--cursor 2"), "{page}");
    assert!(page.stdout.contains("COMPLETED") && page.stdout.contains("day=2024-01-01"), "{page}");
    assert!(place.run("instances --job Nope").expect(2).stderr.contains("job not found: 'Nope'"));
    assert!(place.run("instances --cursor e7").expect(2).stderr.contains("'e7' is not the cursor"));
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_fault() {
    let place = TestStore::new();
    let mut running = place.start("jobs --json");
    drop(running.stdout());
    let (status, _) = running.end(crate::harness::LONG);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn nothing_that_is_shown_passes_for_another_line() {
    let place = TestStore::new();
    let mut command = place.command("run SampleJob");
    command.arg("note=x\nstatus      FAILED\u{202e}");
    place.finish(&mut command).expect(0);
    let shown = place.run("show 1").expect(0).stdout;
    assert!(shown.contains("note=x\\nstatus      FAILED\\u{202e}"), "{shown}");
    assert!(!shown.contains('\u{202e}') && shown.matches("\nstatus ").count() == 1, "{shown}");
    let listed = place.run("executions").expect(0).stdout;
    assert!(listed.contains("note=x status      FAILED\\u{202e}"), "{listed}");
}

#[test]
fn a_table_is_whole_behind_a_pipe() {
    let place = TestStore::new();
    let long = "x".repeat(200);
    place.run(&format!("run SampleJob note={long}")).expect(0);
    assert!(place.run("executions").expect(0).stdout.contains(&long));
}

#[test]
fn an_unknown_job_is_said_in_place_of_an_empty_list() {
    let place = TestStore::new();
    place.run("run SampleJob").expect(0);
    let refused = place.run("executions --job Nope").expect(2).stderr;
    assert!(refused.contains("job not found: 'Nope'; the jobs are ChunkJob"), "{refused}");
    assert!(place.run("executions --job ChunkJob").expect(0).stdout.starts_with("ID"));
    place.run("executions --queue-limit 0").expect(2);
    let none = place.run("serve --listen 127.0.0.1:0 --queue-limit 0").expect(2).stderr;
    assert!(none.contains("'0' is no whole number of at least 1"), "{none}");
}

#[cfg(unix)]
#[test]
fn lists_take_no_right_to_write() {
    use std::os::unix::fs::PermissionsExt;
    let place = TestStore::new();
    place.run("run ChunkJob").expect(0);
    let set = |name: &str, mode: u32| {
        std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set("oxbatch.db", 0o444);
    set("", 0o555);
    // Root may write whatever the permissions are.
    let somebody = std::process::Command::new("id").arg("-u").output().unwrap().stdout != b"0\n";
    for arguments in ["executions", "show 1", "skips 1", "nodes", "jobs --json"] {
        let mut command = if somebody {
            place.command(arguments)
        } else {
            let mut command = place.program("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", env!("CARGO_BIN_EXE_oxbatch")]);
            command.args(arguments.split_whitespace());
            command
        };
        let done = place.finish(&mut command).expect(0);
        assert!(arguments == "nodes" || arguments.starts_with("skips") || done.stdout.contains("ChunkJob"), "{done}");
    }
    set("", 0o755);
}

#[test]
fn manual_pages_are_written_for_each_command() {
    let place = TestStore::new();
    place.run("man pages").expect(0);
    let page = place.read("pages/oxbatch-backup.1");
    assert!(page.contains(".TH oxbatch-backup 1") && page.contains("New file"), "{page}");
    assert!(place.read("pages/oxbatch.1").contains("oxbatch\\-run"));
    place.write("file", "");
    let refused = place.run("man file/pages");
    assert!(refused.code == 5 && refused.stderr.contains("the output cannot be written"), "{refused}");
}
