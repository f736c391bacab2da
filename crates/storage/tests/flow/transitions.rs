//! Transitions: by exit codes, in their order, to elements and to ends, and what a restart makes of them.

use oxbatch_core::Status::{Completed, Failed, Stopped};

use crate::script::{Say, Script, Stage, is};

#[tokio::test]
async fn fl_01_steps_run_in_the_order_of_their_links_and_not_of_their_definition() {
    let stage = Stage::new(Script::default(), |job, script| {
        job.step(script.step("A")).then("C").step(script.step("B")).then_end().step(script.step("C")).then("B")
    })
    .await;
    assert_eq!(stage.run().await, is("A C B", Completed, "COMPLETED"));
    assert_eq!(stage.history(1).await, ["A#1 COMPLETED to 'C'", "C#1 COMPLETED to 'B'", "B#1 COMPLETED end"]);
    stage.close().await;
}

#[tokio::test]
async fn fl_02_03_04_links_end_the_job_failed_stopped_or_completed_with_an_exit_code_of_their_own() {
    for (code, status, exit_code) in
        [("BAD", Failed, "FAILED_EARLY"), ("LATER", Stopped, "STOPPED_EARLY"), ("ENOUGH", Completed, "ENDED_EARLY")]
    {
        let stage = Stage::new(Script::default().says("A", [Say::Code(code)]), |job, script| {
            job.step(script.step("A"))
                .on("BAD")
                .fail_with("FAILED_EARLY")
                .on("LATER")
                .stop_with("STOPPED_EARLY")
                .on("ENOUGH")
                .end_with("ENDED_EARLY")
                .step(script.step("B"))
        })
        .await;
        assert_eq!(stage.run().await, is("A", status, exit_code));
        stage.close().await;
    }
}

#[tokio::test]
async fn fl_05_patterns_are_matched_in_the_order_in_which_they_stand() {
    for (code, next) in [("ABC", "X"), ("ABD", "Y"), ("AXD", "Z"), ("OTHER", "W")] {
        let stage = Stage::new(Script::default().says("A", [Say::Code(code)]), |job, script| {
            job.step(script.step("A"))
                .on("ABC")
                .to("X")
                .on("AB?")
                .to("Y")
                .on("A*D")
                .to("Z")
                .step(script.step("W"))
                .then_end()
                .step(script.step("X"))
                .then_end()
                .step(script.step("Y"))
                .then_end()
                .step(script.step("Z"))
        })
        .await;
        assert_eq!(stage.run().await, is(&format!("A {next}"), Completed, "COMPLETED"), "{code}");
        stage.close().await;
    }
}

/// FL-06, FL-09: a completed step that ended the job is not run again; its stored exit code is matched anew, with the
/// parameters of the restart.
#[tokio::test]
async fn fl_06_09_the_patterns_may_come_from_parameters_and_a_restart_may_give_others() {
    let declared = |name: &str| oxbatch_core::ParameterDeclaration::string(name).non_identifying();
    let stage = Stage::new(Script::default().says("A", [Say::Code("HALF")]), |job, script| {
        job.parameter(declared("stops"))
            .step(script.step("A"))
            .on_given(|parameters| parameters.string("stops").unwrap_or("").to_owned())
            .stop_with("WAITING")
            .step(script.step("B"))
            .on_given(|_| "COMPLETED".to_owned())
            .fail_with("NO_END")
    })
    .await;
    let first = stage.launch_with(r#"{"stops": "HALF"}"#, false).await;
    assert_eq!((first.status, first.exit_code.as_deref()), (Stopped, Some("WAITING")));
    let second = stage.launch_with(r#"{"stops": "NONE"}"#, false).await;
    assert_eq!((second.status, second.exit_code.as_deref()), (Failed, Some("NO_END")), "{second:?}");
    assert_eq!(stage.script.take_ran(), "A B", "A was passed over");
    // The same end comes at once, and says so.
    let third = stage.launch_with(r#"{"stops": "NONE"}"#, false).await;
    assert_eq!((third.status, stage.script.take_ran().as_str()), (Failed, ""));
    assert!(third.exit_message.as_deref().unwrap().contains("launch with force"), "{third:?}");
    stage.close().await;
}

#[tokio::test]
async fn fl_07_an_exit_code_that_no_link_of_a_closed_list_fits_fails_the_job_and_names_the_patterns() {
    let stage = Stage::new(Script::default().says("A", [Say::Code("ODD")]), |job, script| {
        job.step(script.step("A")).on("EVEN").to("B").on("NONE").end().or_fail().step(script.step("B"))
    })
    .await;
    let (ran, status, message) = stage.run_told().await;
    assert_eq!((ran.as_str(), status), ("A", Failed));
    assert_eq!(message, "'A' ended with exit code 'ODD', which no transition of 'A' fits: 'EVEN', 'NONE'");
    // Once more: the step is complete and is not run again.
    assert_eq!(stage.run().await, is("", Failed, "FAILED"));
    stage.close().await;
}

#[tokio::test]
async fn fl_08_10_a_stop_before_a_step_sends_the_restart_there_past_what_is_complete() {
    let stage = Stage::new(Script::default().says("B", [Say::Code("WAIT")]), |job, script| {
        job.step(script.step("A").rerun_if_complete())
            .step(script.step("B"))
            .on("WAIT")
            .stop_before("D")
            .step(script.step("C"))
            .step(script.step("D"))
    })
    .await;
    assert_eq!(
        stage.run_told().await.2,
        "'B' ended with exit code 'WAIT', which stops the job; a restart goes on at 'D'"
    );
    assert_eq!(stage.script.take_ran(), "");
    assert_eq!(stage.run().await, is("A D", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn a_stop_without_a_target_lets_a_restart_go_on_behind_the_element() {
    let stage = Stage::new(Script::default().says("A", [Say::Code("WAIT")]), |job, script| {
        job.step(script.step("A")).on("WAIT").stop().step(script.step("B"))
    })
    .await;
    assert_eq!(stage.run().await, is("A", Stopped, "STOPPED"));
    assert_eq!(stage.run().await, is("B", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn fl_11_12_start_limits_count_attempts_that_links_ended_and_not_those_of_steps_passed_over() {
    let says = [Say::Fail("BAD"), Say::Fail("BAD"), Say::Fail("BAD")];
    let stage = Stage::new(Script::default().says("B", says), |job, script| {
        job.step(script.step("A").start_limit(1)).step(script.step("B").start_limit(2)).on("BAD").fail_with("STUCK")
    })
    .await;
    assert_eq!(stage.run().await, is("A B", Failed, "STUCK"));
    assert_eq!(stage.run().await, is("B", Failed, "STUCK"));
    let (ran, status, message) = stage.run_told().await;
    assert_eq!((ran.as_str(), status), ("", Failed));
    assert!(message.contains("start limit"), "{message}");
    stage.close().await;
}

#[tokio::test]
async fn fl_15_a_failure_that_no_link_catches_fails_the_job_and_a_restart_goes_on_there() {
    let stage = Stage::new(Script::default().says("B", [Say::Error]), |job, script| {
        job.step(script.step("A")).on("NEVER").end().step(script.step("B")).on("GOOD").to("C").step(script.step("C"))
    })
    .await;
    let (ran, status, message) = stage.run_told().await;
    assert_eq!((ran.as_str(), status, message.as_str()), ("A B", Failed, "step 'B' failed: as scripted"));
    assert_eq!(stage.run().await, is("B C", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn a_failure_that_a_link_handles_is_finished_and_not_run_again() {
    let stage = Stage::new(Script::default().says("A", [Say::Error]).says("Repair", [Say::Error]), |job, script| {
        job.step(script.step("A")).on("FAILED").to("Repair").then_end().step(script.step("Repair"))
    })
    .await;
    assert_eq!(stage.run().await, is("A Repair", Failed, "FAILED"));
    assert_eq!(stage.run().await, is("Repair", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn a_forced_launch_ignores_the_history() {
    let stage = Stage::new(Script::default().says("A", [Say::Code("SKIP")]), |job, script| {
        job.step(script.step("A")).on("SKIP").to("C").step(script.step("B")).step(script.step("C"))
    })
    .await;
    assert_eq!(stage.run().await, is("A C", Completed, "COMPLETED"));
    assert_eq!(stage.run().await, is("", Completed, "COMPLETED"));
    assert_eq!(stage.launch_with("{}", true).await.status, Completed);
    assert_eq!(stage.script.take_ran(), "A B C");
    stage.close().await;
}

#[tokio::test]
async fn a_step_that_reruns_with_another_exit_code_takes_another_way() {
    let script = Script::default().says("A", [Say::Code("LEFT")]).says("L2", [Say::Error]);
    let stage = Stage::new(script, |job, script| {
        job.step(script.step("A").rerun_if_complete())
            .on("LEFT")
            .to("L1")
            .on("RIGHT")
            .to("R1")
            .step(script.step("L1"))
            .step(script.step("L2"))
            .then_end()
            .step(script.step("R1"))
    })
    .await;
    assert_eq!(stage.run().await, is("A L1 L2", Failed, "FAILED"));
    stage.script.then_says("A", [Say::Code("LEFT"), Say::Code("RIGHT")]);
    stage.script.then_says("L2", [Say::Error]);
    assert_eq!(stage.run().await, is("A L2", Failed, "FAILED"), "the same code: what is behind it stays");
    assert_eq!(stage.run().await, is("A R1", Completed, "COMPLETED"));
    assert_eq!(stage.history(3).await, ["A#1 RIGHT to 'R1'", "R1#1 COMPLETED end"]);
    stage.close().await;
}

#[tokio::test]
async fn a_plain_sequence_that_becomes_a_flow_goes_on_from_what_its_steps_have_done() {
    let stage = Stage::new(Script::default().says("A", [Say::Code("ODD")]).says("B", [Say::Error]), |job, script| {
        job.step(script.step("A")).step(script.step("B"))
    })
    .await;
    assert_eq!(stage.run().await, is("A B", Failed, "FAILED"));
    let stage = stage
        .with_job(|job, script| {
            job.step(script.step("A")).on("ODD").to("C").step(script.step("B")).step(script.step("C"))
        })
        .await;
    assert_eq!(stage.run().await, is("C", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn fl_14_a_stop_by_a_person_is_seen_by_no_link_and_a_restart_goes_on_there() {
    let (reached, mut reaches) = tokio::sync::mpsc::channel(1);
    let stage = Stage::new(Script::default(), |job, script| {
        let script_of_b = script.clone();
        job.step(script.step("A"))
            .step(oxbatch_core::TaskStep::builder_async("B", move |context| {
                let (script, reached) = (script_of_b.clone(), reached.clone());
                async move {
                    if script.next("B").is_some() {
                        reached.send(()).await?;
                        context.stopping().await;
                        context.check_stop()?;
                    }
                    Ok(())
                }
            }))
            .on("STOPPED")
            .end_with("SEEN")
            .on("*")
            .to("C")
            .step(script.step("C"))
    })
    .await;
    stage.script.then_says("B", [Say::Error]);
    let id = crate::harness::begin(&stage.engine, "Job").await;
    tokio::time::timeout(crate::harness::LONG, reaches.recv()).await.unwrap().unwrap();
    stage.engine.stop(id).await.unwrap();
    let stopped = crate::harness::ended(&stage.engine, id).await;
    assert_eq!((stopped.status, stage.script.take_ran().as_str()), (Stopped, "A B"), "{stopped:?}");
    assert_eq!(stage.run().await, is("B C", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn a_step_that_is_found_complete_on_another_way_does_not_void_what_stands_behind_it() {
    let script = Script::default()
        .says("A", [Say::Code("ONE"), Say::Code("TWO"), Say::Code("TWO")])
        .says("C", [Say::Fail("BAD"), Say::Fail("BAD")])
        .says("D", [Say::Error, Say::Error]);
    let stage = Stage::new(script, |job, script| {
        job.step(script.step("A").rerun_if_complete())
            .on("ONE")
            .to("B")
            .on("TWO")
            .to("B")
            .step(script.step("B"))
            .step(script.step("C"))
            .on("BAD")
            .to("D")
            .step(script.step("D"))
    })
    .await;
    assert_eq!(stage.run().await, is("A B C D", Failed, "FAILED"));
    assert_eq!(stage.run().await, is("A C D", Failed, "FAILED"), "another exit code voids what was behind it");
    assert_eq!(stage.run().await, is("A D", Completed, "COMPLETED"), "the failure of C is handled: it is finished");
    stage.close().await;
}
