//! Flows within jobs: their order, their transitions, their names.

use oxbatch_core::Status::{Completed, Failed};
use oxbatch_core::{Flow, Job, TaskStep};

use crate::script::{Say, Script, Stage, is};

fn inner(script: &Script) -> Flow {
    Flow::new().step(script.step("A")).step(script.step("B")).step(script.step("C"))
}

#[tokio::test]
async fn fw_01_05_the_steps_of_a_flow_run_in_order_before_the_step_behind_it_and_are_the_job_s() {
    let stage = Stage::new(Script::default(), |job, script| job.flow("F", inner(script)).step(script.step("D"))).await;
    assert_eq!(stage.run().await, is("F/A F/B F/C D", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn fw_02_a_link_out_of_a_flow_is_refused_before_anything_runs() {
    let step = |name: &str| TaskStep::builder(name, |_| Ok(()));
    let flow = Flow::new().step(step("A")).on("*").to("Outside");
    let refused = Job::builder("Job").flow("F", flow).step(step("Outside")).build().unwrap_err();
    assert_eq!(refused.to_string(), "job 'Job': 'F/A' leads to 'Outside', which is not an element of the same flow");
}

#[tokio::test]
async fn fw_03_04_links_within_a_flow_are_followed_within_it_and_a_decision_comes_behind() {
    let stage = Stage::new(Script::default().says("F/A", [Say::Code("SKIP")]), |job, script| {
        let flow = Flow::new().step(script.step("A")).on("SKIP").to("C").step(script.step("B")).step(script.step("C"));
        job.flow("F", flow)
            .decider("Decide", |facts: &oxbatch_core::DecisionFacts| {
                let last = facts.last().unwrap();
                Ok(format!("{} {}", last.name, last.exit_code))
            })
            .on("F/C COMPLETED")
            .end_with("SEEN")
    })
    .await;
    assert_eq!(stage.run().await, is("F/A F/C", Completed, "SEEN"));
    stage.close().await;
}

#[tokio::test]
async fn fw_06_the_same_flow_is_used_twice_under_two_names() {
    let stage = Stage::new(Script::default().says("Second/B", [Say::Error]), |job, script| {
        let flow = inner(script);
        job.flow("First", flow.clone()).flow("Second", flow)
    })
    .await;
    assert_eq!(stage.run().await, is("First/A First/B First/C Second/A Second/B", Failed, "FAILED"));
    assert_eq!(stage.run().await, is("Second/B Second/C", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn the_transitions_of_a_flow_decide_on_what_its_last_element_said() {
    for (says, ran, exit_code) in [
        (Say::Fail("BROKEN"), "F/A Repair", "COMPLETED"),
        (Say::Code("EMPTY"), "F/A F/B", "NOTHING"),
        (Say::Code("FULL"), "F/A F/B Next", "COMPLETED"),
    ] {
        let script = match &says {
            Say::Code(code) => Script::default().says("F/B", [Say::Code(code)]),
            other => Script::default().says("F/A", [other.clone()]),
        };
        let stage = Stage::new(script, |job, script| {
            job.flow("F", Flow::new().step(script.step("A")).step(script.step("B")))
                .on("BROKEN")
                .to("Repair")
                .on("EMPTY")
                .end_with("NOTHING")
                .step(script.step("Next"))
                .then_end()
                .step(script.step("Repair"))
        })
        .await;
        assert_eq!(stage.run().await, is(ran, Completed, exit_code), "{says:?}");
        stage.close().await;
    }
}
