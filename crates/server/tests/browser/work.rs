//! An operator's work: launched, failed, understood, restarted, run again, all by clicks.

use crate::browser::Browser;
use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_page_to_why_the_record_and_what_restarting_does_in_four_clicks() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"day": "2026-11-28"}"#).await;
    place.run("BookTrades", r#"{"fault": "amount"}"#).await;
    let browser = Browser::open(&place);
    browser.go("/");
    // What failed last night: it stands on the first page. One click: why, with which record, what a restart does.
    assert!(browser.text("section[aria-labelledby=failed]").contains("BookTrades #2"));
    browser.click("section[aria-labelledby=failed] a.main-link");
    browser.until_path("/ui/executions/2");
    assert!(browser.text("section[aria-labelledby=why] .rule").contains("is no number, since it has the letter O"));
    let record = browser.text("dl.record");
    assert!(
        record.contains("in/trades-2026-11-29.csv") && record.contains("4212") && record.contains("amount"),
        "{record}"
    );
    assert_eq!(browser.text("pre.raw"), "4211;DE5807;12,5O");
    let plan = browser.text("section[aria-labelledby=restart]");
    assert!(
        plan.contains("Resumes step Import")
            && plan.contains("behind 4,000 items")
            && plan.contains("Fetch is complete and not run again"),
        "{plan}"
    );
    // The second click restarts; the third leads to the attempt before, the fourth back to the first page.
    browser.click("section[aria-labelledby=restart] button.primary");
    browser.until_path("/ui/executions/3");
    browser.until_text("h1 .badge", "FAILED");
    browser.click("section[aria-labelledby=attempts] a[href='/ui/executions/2']");
    browser.until_path("/ui/executions/2");
    browser.click("a.brand");
    browser.until_text("section[aria-labelledby=failed]", "#3");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_previewed_and_launched_by_its_form_with_a_fault_and_without() {
    let place = Place::new().await;
    let mut browser = Browser::open(&place);
    browser.expect_in_log("status of 422");
    browser.go("/");
    browser.click("a.card[href='/ui/jobs/BookTrades']");
    browser.type_into("input[name='p.limit']", "many");
    browser.click("form.launch button.primary");
    browser.until_text("form.launch strong.no", "many");
    assert_eq!(browser.value("input[name=\'p.limit\']"), "many");
    browser.type_into("input[name='p.limit']", "100");
    browser.click("form.launch button[formaction]");
    browser.until_text("section#preview", "Nothing was written");
    assert!(browser.has("section#preview tr.gone") && browser.has("section#preview tr.done"));
    assert_eq!(browser.value("input[name=\'p.limit\']"), "100");
    browser.click("select[name='p.fault'] option[value=amount]");
    browser.click("form.launch button.primary");
    browser.until_path("/ui/executions/1");
    browser.until_text("h1 .badge", "FAILED");
    // Run again with changes: the form has what was given.
    browser.click("a[href='/ui/jobs/BookTrades?from=1#launch']");
    browser.until_text("section#launch", "With the parameters of execution #1");
    browser.click("select[name='p.fault'] option[value=none]");
    browser.click("form.launch button.primary");
    browser.until_path("/ui/executions/2");
    browser.until_text("h1 .badge", "COMPLETED");
    assert!(browser.text("table.totals").contains("matches"));
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_plan_is_refused_and_the_new_one_holds() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"fault": "amount"}"#).await;
    let mut browser = Browser::open(&place);
    browser.expect_in_log("status of 409");
    browser.go("/ui/executions/1");
    browser.find("section[aria-labelledby=restart] button.primary");
    place.engine.restart(oxbatch_core::execution::ExecutionId(1)).await.unwrap();
    place.engine.wait(oxbatch_core::execution::ExecutionId(2), crate::browser::LONG).await.unwrap();
    browser.click("section[aria-labelledby=restart] button.primary");
    browser.until_text("h1", "The plan has changed");
    browser.click("a[href='/ui/executions/1']");
    browser.until_path("/ui/executions/1");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_items_are_found_by_their_fault_and_run_again() {
    let place = Place::new().await;
    place.run("CheckAccounts", "{}").await;
    let browser = Browser::open(&place);
    browser.go("/ui/executions?status=COMPLETED&job=CheckAccounts");
    browser.click("td[data-label=Execution] a");
    browser.until_path("/ui/executions/1");
    assert!(browser.text("section[aria-labelledby=skips]").contains("10"));
    browser.click("details.group summary");
    browser.until_text("details.group pre.raw", "DE0148");
    browser.click("form[action='/ui/executions/1/skips/rerun'] button");
    browser.until_path("/ui/executions/2");
    browser.until_text(".facts", "runs skipped items of #1 again");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_match_are_restarted_after_a_confirmation_and_a_backfill_is_begun() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"fault": "amount", "day": "2026-01-05"}"#).await;
    place.run("BookTrades", r#"{"fault": "amount", "day": "2026-01-06"}"#).await;
    let browser = Browser::open(&place);
    browser.go("/ui/executions");
    browser.click("label.choice.fail span");
    browser.click("form.filters button.primary");
    browser.until_path("status=FAILED");
    browser.click("section[aria-labelledby=all] a[href*='action=RESTART']");
    browser.until_text("p.lead", "2 of 2 executions found");
    browser.click("form[action='/ui/bulk'] input[type=checkbox]");
    browser.click("form[action='/ui/bulk'] button.primary");
    browser.until_path("/ui/bulk/1");
    browser.until_text(".facts", "2 done");
    browser.go("/ui/backfills?job=BookTrades");
    browser.run("document.querySelector('input[name=from]').value = '2026-02-01'; document.querySelector('input[name=to]').value = '2026-02-03'");
    browser.click("form.stack button.primary");
    browser.until_text("p.lead", "3 of 3 fires");
    browser.click("form[action='/ui/backfills'] button.primary");
    browser.until_text("tbody", "book-trades");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_ticked_counted_and_stay_ticked_while_the_list_lives() {
    let place = Place::new().await;
    for day in 5..=7 {
        place.run("BookTrades", &format!("{{\"fault\": \"amount\", \"day\": \"2026-01-0{day}\"}}")).await;
    }
    let browser = Browser::open(&place);
    browser.go("/ui/executions");
    browser.until_text("#choose [data-chosen]", "Tick rows");
    assert_eq!(browser.run("return document.querySelector('#choose button').disabled"), true);
    browser.click("td.choose input[value='1']");
    browser.until_text("#choose [data-chosen]", "1 chosen");
    browser.click("td.choose input[value='3']");
    browser.until_text("#choose [data-chosen]", "2 chosen");
    // Another execution is listed, and the rows stay ticked.
    place.run("NightlyFlow", "{}").await;
    browser.find("td.choose input[value='4']");
    browser.until_text("#choose [data-chosen]", "2 chosen");
    browser.click("#choose button[value=RESTART]");
    browser.until_text("p.lead", "2 of 2 chosen executions");
    browser.click("form[action='/ui/bulk'] input[type=checkbox]");
    browser.click("form[action='/ui/bulk'] button.primary");
    browser.until_path("/ui/bulk/1");
    browser.until_text(".facts", "2 done");
    browser.go("/ui/executions");
    browser.click("[data-choose-all]");
    browser.until_text("#choose [data-chosen]", "6 chosen");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_are_paused_and_a_channel_is_tried_by_clicks() {
    let place = Place::new().await;
    let browser = Browser::open(&place);
    browser.go("/ui/jobs/NightlyFlow");
    browser.type_into("section[aria-labelledby=pause] input[name=reason]", "month end");
    browser.click("section[aria-labelledby=pause] button");
    browser.until_text("section[aria-labelledby=pause]", "month end");
    browser.click("form.launch button.primary");
    browser.until_path("/ui/executions/1");
    browser.until_text(".head .notice", "month end");
    browser.go("/ui/jobs/NightlyFlow");
    browser.click("section[aria-labelledby=pause] button.primary");
    browser.until_text("section[aria-labelledby=pause] button", "Pause its launches");
    place.engine.wait(oxbatch_core::execution::ExecutionId(1), crate::browser::LONG).await.unwrap();
    browser.go("/ui/notices");
    browser.click("form[action='/ui/notices/test/pager'] button");
    browser.until_text("p.notice", "503 Service Unavailable");
    browser.click("form[action='/ui/notices/test/ops-mail'] button");
    browser.until_text("p.notice", "has taken a trial");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_without_a_script() {
    let place = Place::new().await;
    let browser = Browser::without_script(&place);
    browser.go("/ui/jobs/BookTrades");
    assert!(!browser.has("button.copy"), "no script runs");
    browser.click("select[name='p.fault'] option[value=amount]");
    browser.click("form.launch button.primary");
    browser.until_path("/ui/executions/1");
    place.engine.wait(oxbatch_core::execution::ExecutionId(1), crate::browser::LONG).await.unwrap();
    browser.reload();
    browser.until_text("h1 .badge", "FAILED");
    browser.click("section[aria-labelledby=restart] button.primary");
    browser.until_path("/ui/executions/2");
    place.engine.wait(oxbatch_core::execution::ExecutionId(2), crate::browser::LONG).await.unwrap();
    // Rows are chosen by a form.
    browser.go("/ui/executions");
    browser.click("td.choose input[value='2']");
    browser.click("#choose button[value=ABANDON]");
    browser.until_text("p.lead", "1 of 1 chosen executions");
    browser.close();
}
