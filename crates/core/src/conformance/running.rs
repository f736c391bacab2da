//! Cases of steps, chunks, stops and ends.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use super::Backend;
use super::fixture::{LONG, Process, changes, launch_of, outcome, save, step_of, step_outcome};
use crate::execution::{
    ControlTotals, Counters, ExecutionContext, MAX_CONTEXT_BYTES, SkipPhase, SkippedItem, Status, StatusEvent,
    StepExecutionId,
};
use crate::repository::{ChunkSave, NewStep, RepositoryError, StepOutcome, StepStart};

/// A plain launch skips what is complete, also after COMPLETED; `rerun_if_complete` and force do not.
pub async fn completed_steps_are_not_run_again_unless_told_so(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    process.run_step(&first, "Step", StatusEvent::Complete).await;
    process.end(&first, StatusEvent::Complete).await;
    let second = process.run(1, LONG).await;
    let start = process.repository.start_step(&second, step_of("Step")).await.unwrap();
    assert!(matches!(start, StepStart::AlreadyComplete(_)), "{start:?}");
    let again = NewStep { rerun_if_complete: true, ..step_of("Step") };
    let StepStart::Run(rerun) = process.repository.start_step(&second, again).await.unwrap() else { panic!() };
    assert_eq!(rerun.state, None);
    process.end_step(&rerun, StatusEvent::Complete).await;
    process.end(&second, StatusEvent::Complete).await;
    let forced = process.force(1).await;
    assert_eq!(process.start_step(&forced, "Step").await.state, None);
}

/// The last commit comes back byte by byte, also after an attempt that committed nothing.
pub async fn a_failed_step_gets_its_state_and_the_job_its_context_back(backend: &dyn Backend) {
    const STATE: &str = r#"{"v":2,"reader":{"byte":17},"future":{"kept":true}}"#;
    const CONTEXT: &str = r#"{"name":"Möwe","total":1.5}"#;
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    let step = process.start_step(&first, "Step").await;
    assert_eq!((step.state.as_deref(), step.job_context.as_deref()), (None, None));
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    let counters = Counters { read: 1, filter: 1, commit: 1, ..Counters::default() };
    transaction
        .commit(ChunkSave { job_context: Some(&changes("{}", CONTEXT)), ..save(STATE, &counters) })
        .await
        .unwrap();
    drop(transaction);
    let (id, of_step) = (first.execution_id(), step.fence.step_id);
    let contexts = process.repository.contexts(id, vec![StepExecutionId(i64::MAX), of_step]).await.unwrap();
    assert_eq!(contexts.job, Some(ExecutionContext::from_json(CONTEXT).unwrap()));
    assert_eq!(contexts.steps, [(of_step, ExecutionContext::default())]);
    process.end_step(&step, StatusEvent::Fail).await;
    process.end(&first, StatusEvent::Fail).await;
    for _ in 0..2 {
        let next = process.run(1, LONG).await;
        let step = process.start_step(&next, "Step").await;
        assert_eq!((step.state.as_deref(), step.job_context.as_deref()), (Some(STATE), Some(CONTEXT)));
        process.end(&next, StatusEvent::Fail).await;
    }
    let forced = process.force(1).await;
    let step = process.start_step(&forced, "Step").await;
    assert_eq!((step.state, step.job_context), (None, None));
}

/// A forced run that dies before a step does not skip it because of an earlier lineage.
pub async fn a_forced_launch_counts_no_step_from_before(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    for name in ["One", "Two"] {
        process.run_step(&first, name, StatusEvent::Complete).await;
    }
    process.end(&first, StatusEvent::Complete).await;
    let forced = process.force(1).await;
    process.run_step(&forced, "One", StatusEvent::Complete).await;
    process.end(&forced, StatusEvent::Fail).await;
    let resumed = process.run(1, LONG).await;
    let one = process.repository.start_step(&resumed, step_of("One")).await.unwrap();
    assert!(matches!(one, StepStart::AlreadyComplete(_)), "{one:?}");
    process.start_step(&resumed, "Two").await;
}

/// `start_limit` counts attempts, and a forced launch begins to count anew.
pub async fn attempts_are_limited_within_a_lineage(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let limited = || NewStep { start_limit: Some(2), ..step_of("Step") };
    for _ in 0..2 {
        let lease = process.run(1, LONG).await;
        assert!(matches!(process.repository.start_step(&lease, limited()).await.unwrap(), StepStart::Run(_)));
        process.end(&lease, StatusEvent::Fail).await;
    }
    let third = process.run(1, LONG).await;
    let refused = process.repository.start_step(&third, limited()).await.unwrap();
    assert_eq!(refused, StepStart::StartLimitReached { attempts: 2 });
    process.end(&third, StatusEvent::Fail).await;
    let forced = process.force(1).await;
    assert!(matches!(process.repository.start_step(&forced, limited()).await.unwrap(), StepStart::Run(_)));
}

/// Rows, state and counters of a chunk are stored together, or none of them.
pub async fn a_chunk_commits_rows_state_and_counters_or_nothing(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let step = process.start_step(&lease, "Step").await;
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    backend.write_row(transaction.as_mut(), 1).await;
    let counters = Counters { read: 3, write: 1, filter: 2, commit: 1, ..Counters::default() };
    let ack = transaction.commit(save("{}", &counters)).await.unwrap();
    assert!(!ack.stop_requested);
    backend.write_row(transaction.as_mut(), 2).await;
    transaction.rollback().await.unwrap();
    assert_eq!(backend.rows().await, [1]);
    let steps = process.repository.steps(lease.execution_id()).await.unwrap();
    assert_eq!((steps[0].counters, steps[0].progress), (counters, Some(0.5)));
    backend.write_row(transaction.as_mut(), 3).await;
    transaction.commit(ChunkSave { progress: None, ..save("{}", &counters) }).await.unwrap();
    assert_eq!(backend.rows().await, [1, 3]);
}

/// An interrupted chunk leaves nothing, and the next transaction is free to write.
pub async fn a_transaction_that_is_dropped_rolls_back(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let step = process.start_step(&lease, "Step").await;
    let mut dropped = process.repository.chunk_transaction(&step.fence).await.unwrap();
    backend.write_row(dropped.as_mut(), 1).await;
    drop(dropped);
    let mut next = process.repository.chunk_transaction(&step.fence).await.unwrap();
    backend.write_row(next.as_mut(), 2).await;
    next.commit(save("{}", &Counters::default())).await.unwrap();
    assert_eq!(backend.rows().await, [2]);
}

/// A stop of a running execution is a request: everybody hears of it, and the owner records the end.
pub async fn a_stop_reaches_the_chunk_the_renewal_and_the_next_step(backend: &dyn Backend) {
    let (owner, other) = (Process::start(backend).await, Process::start(backend).await);
    let lease = owner.run(1, LONG).await;
    let step = owner.start_step(&lease, "Step").await;
    for _ in 0..2 {
        let stopping = other.repository.request_stop(lease.execution_id()).await.unwrap();
        assert_eq!((stopping.status, stopping.end_time), (Status::Stopping, None));
    }
    let renewed = owner.renew(&[lease]).await;
    assert_eq!((renewed[0].lease, renewed[0].status), (lease, Status::Stopping));
    let mut transaction = owner.repository.chunk_transaction(&step.fence).await.unwrap();
    assert!(transaction.commit(save("{}", &Counters::default())).await.unwrap().stop_requested);
    drop(transaction);
    let next = owner.repository.start_step(&lease, step_of("Next")).await.unwrap();
    assert_eq!(next, StepStart::StopRequested);
    owner.end_step(&step, StatusEvent::Stop).await;
    let stopped = owner.end(&lease, StatusEvent::Stop).await;
    assert_eq!((stopped.status, stopped.exit_code.as_deref()), (Status::Stopped, Some("STOPPED")));
    assert!(owner.renew(&[lease]).await.is_empty());
}

/// A waiting execution is stopped at once, and its instance is free.
pub async fn a_waiting_execution_is_stopped_at_once(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let id = process.launch(launch_of(1)).await.unwrap().execution.id;
    let stopped = process.repository.request_stop(id).await.unwrap();
    assert_eq!(stopped.status, Status::Stopped);
    assert!(stopped.end_time.is_some() && stopped.exit_message.is_some());
    assert_eq!(process.claim(LONG).await, None);
    process.launch(launch_of(1)).await.unwrap();
}

/// Transitions that do not exist are refused and change nothing.
pub async fn what_has_ended_is_not_stopped_and_what_runs_is_not_abandoned(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let refused = process.repository.abandon(lease.execution_id()).await;
    assert!(matches!(refused, Err(RepositoryError::Refused { .. })), "{refused:?}");
    let failed = process.end(&lease, StatusEvent::Fail).await;
    let refused = process.repository.request_stop(lease.execution_id()).await;
    assert!(matches!(refused, Err(RepositoryError::Refused { .. })), "{refused:?}");
    assert_eq!(process.execution(lease.execution_id()).await, failed);
    let abandoned = process.repository.abandon(lease.execution_id()).await.unwrap();
    assert_eq!(abandoned.status, Status::Abandoned);
    let again = process.repository.finish_execution(&lease, outcome(StatusEvent::Complete, false)).await;
    assert!(matches!(again, Err(RepositoryError::LeaseLost { .. })), "{again:?}");
}

/// A step whose end could not be recorded ends with its execution; the end of a step keeps what it says.
pub async fn an_ended_execution_leaves_no_step_running(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let one = process.start_step(&lease, "One").await;
    let said = StepOutcome {
        exit_code: Some("ODD".to_owned()),
        exit_message: Some("said".to_owned()),
        job_context: Some(changes("{}", r#"{"a":1}"#)),
        ..step_outcome(StatusEvent::Complete)
    };
    let ended = process.repository.finish_step(&one.fence, said).await.unwrap();
    assert_eq!((ended.exit_code.as_deref(), ended.exit_message.as_deref()), (Some("ODD"), Some("said")));
    let two = process.start_step(&lease, "Two").await;
    assert_eq!(two.job_context.as_deref(), Some(r#"{"a":1}"#));
    process.end(&lease, StatusEvent::Fail).await;
    let steps = process.repository.steps(lease.execution_id()).await.unwrap();
    let statuses: Vec<_> = steps.iter().map(|step| (step.step_name.as_str(), step.status)).collect();
    assert_eq!(statuses, [("One", Status::Completed), ("Two", Status::Failed)]);
    let late = process.repository.finish_step(&two.fence, step_outcome(StatusEvent::Complete)).await;
    assert!(matches!(late, Err(RepositoryError::LeaseLost { .. })), "{late:?}");
}

/// A thread that is left behind commits a chunk after its step was reported to have ended, and before that is recorded.
pub async fn a_chunk_that_is_committed_before_the_end_is_recorded_counts(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let step = process.start_step(&lease, "Step").await;
    let chunks = |commit: i64| Counters { read: 10 * commit, write: 10 * commit, commit, ..Counters::default() };
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    transaction.commit(save("{}", &chunks(1))).await.unwrap();
    let outcome = StepOutcome { counters: chunks(1), progress: Some(0.1), ..step_outcome(StatusEvent::Stop) };
    transaction.commit(save("{}", &chunks(2))).await.unwrap();
    let ended = process.repository.finish_step(&step.fence, outcome).await.unwrap();
    assert_eq!((ended.status, ended.counters, ended.progress), (Status::Stopped, chunks(2), Some(0.5)));
    // And none after it.
    let late = transaction.commit(save("{}", &chunks(3))).await;
    assert!(matches!(late, Err(RepositoryError::LeaseLost { .. })), "{late:?}");
    process.end(&lease, StatusEvent::Stop).await;
}

/// Trap 12: skipped items are kept in the chunk's transaction, or not at all; they are listed in their order, by pages.
pub async fn skipped_items_are_kept_with_their_chunk_or_not_at_all(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let step = process.start_step(&lease, "Step").await;
    let id = step.fence.step_id;
    let item = |n: u32| {
        SkippedItem::new(
            SkipPhase::ALL[n as usize % 3],
            Some(format!("line {n}")),
            (n > 0).then(|| "{}".into()),
            "bad".into(),
        )
    };
    let skips: Vec<_> = (0..5).map(item).collect();
    let counters = Counters { read_skip: 5, commit: 1, ..Counters::default() };
    let time = Some(jiff::Timestamp::now());
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    transaction.commit(ChunkSave { skips: &skips, time, ..save("{}", &counters) }).await.unwrap();
    let first = process.repository.skips(id, None, 3).await.unwrap();
    let rest = process.repository.skips(id, first.next, 3).await.unwrap();
    assert!(first.next.is_some() && rest.next.is_none());
    let listed: Vec<_> = first.skips.into_iter().chain(rest.skips).map(|skip| skip.item).collect();
    assert_eq!(listed, skips);
    // A chunk that cannot be committed leaves none.
    process.end_step(&step, StatusEvent::Fail).await;
    let lost = transaction.commit(ChunkSave { skips: &skips, time, ..save("{}", &counters) }).await;
    assert!(matches!(lost, Err(RepositoryError::LeaseLost { .. })));
    assert_eq!(process.repository.skips(id, None, 100).await.unwrap().skips.len(), 5);
    let unknown = process.repository.skips(StepExecutionId(id.0 + 1), None, 1).await;
    assert!(matches!(unknown, Err(RepositoryError::NotFound { .. })));
}

/// Totals are stored with the chunk, or not at all; a restart gets them back, a forced launch does not.
pub async fn control_totals_commit_with_their_chunk_and_come_back_with_the_state(backend: &dyn Backend) {
    const TOTALS: &str = r#"[{"name":"amount","read":"99999999999999999999999999999999999.25","filtered":"0","skipped":"0","written":"-0.5"}]"#;
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    let step = process.start_step(&first, "Step").await;
    assert_eq!(step.control_totals, None);
    let counters = Counters { read: 1, write: 1, commit: 1, ..Counters::default() };
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    transaction.commit(ChunkSave { control_totals: Some(TOTALS), ..save("{}", &counters) }).await.unwrap();
    let shown = async |lease: &crate::repository::Lease| {
        let steps = process.repository.steps(lease.execution_id()).await.unwrap();
        steps[0].control_totals.clone()
    };
    let totals = ControlTotals::from_json(TOTALS).unwrap();
    assert_eq!(shown(&first).await, totals);
    process.end_step(&step, StatusEvent::Fail).await;
    // A chunk that cannot be committed changes none.
    let lost = transaction.commit(ChunkSave { control_totals: Some("[]"), ..save("{}", &counters) }).await;
    assert!(matches!(lost, Err(RepositoryError::LeaseLost { .. })));
    assert_eq!(shown(&first).await, totals);
    process.end(&first, StatusEvent::Fail).await;
    // An attempt that commits nothing leaves what it was given.
    for _ in 0..2 {
        let next = process.run(1, LONG).await;
        let step = process.start_step(&next, "Step").await;
        assert_eq!(step.control_totals.as_deref(), Some(TOTALS));
        assert_eq!(shown(&next).await, totals);
        process.end(&next, StatusEvent::Fail).await;
    }
    let forced = process.force(1).await;
    assert_eq!(process.start_step(&forced, "Step").await.control_totals, None);
    assert!(shown(&forced).await.is_empty());
}

/// The row of a step shows each save, whatever has changed since the one before and whatever has not.
pub async fn each_save_is_shown_whole_while_the_step_runs(backend: &dyn Backend) {
    const TOTALS: &str = r#"[{"name":"amount","read":"1.5","filtered":"0","skipped":"0","written":"1.5"}]"#;
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let step = process.start_step(&lease, "Step").await;
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    let one = Counters { read: 1, commit: 1, ..Counters::default() };
    let two = Counters { read: 2, commit: 2, ..one };
    let repeated = Counters { read: 3, commit: 3, retry: 1, rollback: 1, ..two };
    let skipped = Counters { read_skip: 1, process_skip: 2, write_skip: 3, ..repeated };
    let written = Counters { write: 4, filter: 5, commit: 4, ..skipped };
    let saves = [
        (one, None),
        (two, None),
        (repeated, None),
        (skipped, None),
        (written, None),
        (written, Some(TOTALS)),
        (Counters { read: 4, ..written }, None),
        (Counters { read: 5, ..written }, None),
        (Counters { read: 5, ..two }, None),
    ];
    for (save_number, (counters, control_totals)) in saves.into_iter().enumerate() {
        let state = format!(r#"{{"save":{save_number}}}"#);
        transaction.commit(ChunkSave { control_totals, ..save(&state, &counters) }).await.unwrap();
        let steps = process.repository.steps(lease.execution_id()).await.unwrap();
        let totals = control_totals.map(|json| ControlTotals::from_json(json).unwrap()).unwrap_or_default();
        assert_eq!((steps[0].counters, &steps[0].control_totals), (counters, &totals), "save {save_number}");
    }
}

/// Each save of the job's context sets and removes its own entries, whole, and leaves those of other steps as they are.
pub async fn entries_of_the_jobs_context_are_saved_one_by_one(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let (one, two) = (process.start_step(&lease, "One").await, process.start_step(&lease, "Two").await);
    let counters = Counters::default();
    let mut ones = process.repository.chunk_transaction(&one.fence).await.unwrap();
    let mut twos = process.repository.chunk_transaction(&two.fence).await.unwrap();
    // Names and numbers that a database might take for something else.
    let odd = r#"{"":18446744073709551615,"$":1.0,"[0]":1e-7,"a\"b":{"x":null,"y":[]},"c.d":null,"e\\f":"\n'","ü":-1}"#;
    let first = changes("{}", odd);
    ones.commit(ChunkSave { job_context: Some(&first), ..save("{}", &counters) }).await.unwrap();
    let second = changes("{}", r#"{"two":{"deep":{"kept":null}},"ü":"ß"}"#);
    twos.commit(ChunkSave { job_context: Some(&second), ..save("{}", &counters) }).await.unwrap();
    let third = changes(r#"{"a\"b":1,"$":1,"gone":1}"#, r#"{"a\"b":{"y":1}}"#);
    ones.commit(ChunkSave { job_context: Some(&third), ..save("{}", &counters) }).await.unwrap();
    drop((ones, twos));
    let outcome =
        StepOutcome { job_context: Some(changes("{}", r#"{"end":true}"#)), ..step_outcome(StatusEvent::Fail) };
    process.repository.finish_step(&one.fence, outcome).await.unwrap();
    process.end_step(&two, StatusEvent::Fail).await;
    process.end(&lease, StatusEvent::Fail).await;
    let again = process.run(1, LONG).await;
    let stored = process.start_step(&again, "One").await.job_context.unwrap();
    let expected = r#"{"":18446744073709551615,"[0]":1e-7,"a\"b":{"y":1},"c.d":null,"e\\f":"\n'","ü":"ß",
        "two":{"deep":{"kept":null}},"end":true}"#;
    let read = |json: &str| ExecutionContext::from_json(json).unwrap();
    assert_eq!(read(&stored), read(expected), "{stored}");
}

/// A context that becomes too large by what others have put is refused, and nothing of the chunk is saved.
pub async fn a_context_that_others_have_filled_refuses_what_is_too_much(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let step = process.start_step(&lease, "Step").await;
    let counters = Counters::default();
    let half = |name: &str| format!(r#"{{"{name}":"{}"}}"#, "x".repeat(MAX_CONTEXT_BYTES / 2));
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    for (name, fits) in [("a", true), ("b", false), ("a", true)] {
        let half = changes("{}", &half(name));
        let saved = transaction.commit(ChunkSave { job_context: Some(&half), ..save("{}", &counters) }).await;
        match saved {
            Ok(_) => assert!(fits, "{name}"),
            Err(error) => assert!(!fits && error.to_string().contains("over the limit"), "{name}: {error}"),
        }
    }
}
