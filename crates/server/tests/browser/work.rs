//! An operator's work: launched, failed, understood, restarted, run again, all by clicks.

use crate::browser::Browser;
use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_page_to_why_the_record_and_what_restarting_does_in_four_clicks() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"day": "2026-11-28"}"#).await;
    place.run("BookTrades", r#"{"fault": "amount"}"#).await;
    let browser = Browser::open(&place).await;
    browser.go("/").await;
    // What failed last night: it stands on the first page. One click: why, with which record, what a restart does.
    assert!(browser.text("section[aria-labelledby=failed]").await.contains("BookTrades #2"));
    browser.click("section[aria-labelledby=failed] a.main-link").await;
    browser.until_path("/ui/executions/2").await;
    assert!(
        browser.text("section[aria-labelledby=why] .rule").await.contains("is no number, since it has the letter O")
    );
    let record = browser.text("dl.record").await;
    assert!(
        record.contains("in/trades-2026-11-29.csv") && record.contains("4212") && record.contains("amount"),
        "{record}"
    );
    assert_eq!(browser.text("pre.raw").await, "4211;DE5807;12,5O");
    let plan = browser.text("section[aria-labelledby=restart]").await;
    assert!(
        plan.contains("Resumes step Import")
            && plan.contains("behind 4,000 items")
            && plan.contains("Fetch is complete and not run again"),
        "{plan}"
    );
    // The second click restarts; the third leads to the attempt before, the fourth back to the first page.
    browser.click("section[aria-labelledby=restart] button.primary").await;
    browser.until_path("/ui/executions/3").await;
    browser.until_text("h1 .badge", "FAILED").await;
    browser.click("section[aria-labelledby=attempts] a[href='/ui/executions/2']").await;
    browser.until_path("/ui/executions/2").await;
    browser.click("a.brand").await;
    browser.until_text("section[aria-labelledby=failed]", "#3").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_previewed_and_launched_by_its_form_with_a_fault_and_without() {
    let place = Place::new().await;
    let mut browser = Browser::open(&place).await;
    browser.expect_in_log("status of 422");
    browser.go("/").await;
    browser.click("a.card[href='/ui/jobs/BookTrades']").await;
    browser.type_into("input[name='p.limit']", "many").await;
    browser.click("form.launch button.primary").await;
    browser.until_text("form.launch strong.no", "many").await;
    assert_eq!(browser.find("input[name='p.limit']").await.value().await.unwrap().as_deref(), Some("many"));
    browser.type_into("input[name='p.limit']", "100").await;
    browser.click("form.launch button[formaction]").await;
    browser.until_text("section#preview", "Nothing was written").await;
    assert!(browser.has("section#preview tr.gone").await && browser.has("section#preview tr.done").await);
    assert_eq!(browser.find("input[name='p.limit']").await.value().await.unwrap().as_deref(), Some("100"));
    browser.click("select[name='p.fault'] option[value=amount]").await;
    browser.click("form.launch button.primary").await;
    browser.until_path("/ui/executions/1").await;
    browser.until_text("h1 .badge", "FAILED").await;
    // Run again with changes: the form has what was given.
    browser.click("a[href='/ui/jobs/BookTrades?from=1#launch']").await;
    browser.until_text("section#launch", "With the parameters of execution #1").await;
    browser.click("select[name='p.fault'] option[value=none]").await;
    browser.click("form.launch button.primary").await;
    browser.until_path("/ui/executions/2").await;
    browser.until_text("h1 .badge", "COMPLETED").await;
    assert!(browser.text("table.totals").await.contains("matches"));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_plan_is_refused_and_the_new_one_holds() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"fault": "amount"}"#).await;
    let mut browser = Browser::open(&place).await;
    browser.expect_in_log("status of 409");
    browser.go("/ui/executions/1").await;
    browser.find("section[aria-labelledby=restart] button.primary").await;
    place.engine.restart(oxbatch_core::execution::ExecutionId(1)).await.unwrap();
    place.engine.wait(oxbatch_core::execution::ExecutionId(2), crate::browser::LONG).await.unwrap();
    browser.click("section[aria-labelledby=restart] button.primary").await;
    browser.until_text("h1", "The plan has changed").await;
    browser.click("a[href='/ui/executions/1']").await;
    browser.until_path("/ui/executions/1").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_items_are_found_by_their_fault_and_run_again() {
    let place = Place::new().await;
    place.run("CheckAccounts", "{}").await;
    let browser = Browser::open(&place).await;
    browser.go("/ui/executions?status=COMPLETED&job=CheckAccounts").await;
    browser.click("td[data-label=Execution] a").await;
    browser.until_path("/ui/executions/1").await;
    assert!(browser.text("section[aria-labelledby=skips]").await.contains("10"));
    browser.click("details.group summary").await;
    browser.until_text("details.group pre.raw", "DE0148").await;
    browser.click("form[action='/ui/executions/1/skips/rerun'] button").await;
    browser.until_path("/ui/executions/2").await;
    browser.until_text(".facts", "runs skipped items of #1 again").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_match_are_restarted_after_a_confirmation_and_a_backfill_is_begun() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"fault": "amount", "day": "2026-01-05"}"#).await;
    place.run("BookTrades", r#"{"fault": "amount", "day": "2026-01-06"}"#).await;
    let browser = Browser::open(&place).await;
    browser.go("/ui/executions").await;
    browser.click("label.choice.fail span").await;
    browser.click("form.filters button.primary").await;
    browser.until_path("status=FAILED").await;
    browser.click("section[aria-labelledby=all] a[href*='action=RESTART']").await;
    browser.until_text("p.lead", "2 of 2 executions found").await;
    browser.click("form[action='/ui/bulk'] input[type=checkbox]").await;
    browser.click("form[action='/ui/bulk'] button.primary").await;
    browser.until_path("/ui/bulk/1").await;
    browser.until_text(".facts", "2 done").await;
    browser.go("/ui/backfills?job=BookTrades").await;
    browser.run("document.querySelector('input[name=from]').value = '2026-02-01'; document.querySelector('input[name=to]').value = '2026-02-03'").await;
    browser.click("form.stack button.primary").await;
    browser.until_text("p.lead", "3 of 3 fires").await;
    browser.click("form[action='/ui/backfills'] button.primary").await;
    browser.until_text("tbody", "book-trades").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_without_a_script() {
    let place = Place::new().await;
    let browser = Browser::without_script(&place).await;
    browser.go("/ui/jobs/BookTrades").await;
    assert!(!browser.has("button.copy").await, "no script runs");
    browser.click("select[name='p.fault'] option[value=amount]").await;
    browser.click("form.launch button.primary").await;
    browser.until_path("/ui/executions/1").await;
    place.engine.wait(oxbatch_core::execution::ExecutionId(1), crate::browser::LONG).await.unwrap();
    browser.driver.refresh().await.unwrap();
    browser.until_text("h1 .badge", "FAILED").await;
    browser.click("section[aria-labelledby=restart] button.primary").await;
    browser.until_path("/ui/executions/2").await;
    browser.close().await;
}
