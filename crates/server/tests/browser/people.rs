//! Roles, and a person who has a keyboard alone.

use oxbatch_core::access::Role;
use thirtyfour::Key;

use crate::browser::Browser;
use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn each_role_logs_in_and_sees_what_it_may() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"fault": "amount"}"#).await;
    let (viewer, operator) = (place.token(Role::Viewer, "vera").await, place.token(Role::Operator, "otto").await);
    let admin = place.token(Role::Admin, "ada").await;
    for (token, name, operates, audits) in
        [(viewer, "vera", false, false), (operator, "otto", true, false), (admin, "ada", true, true)]
    {
        let mut browser = Browser::open(&place).await;
        browser.expect_in_log("status of 403");
        browser.expect_in_log("status of 401");
        browser.go("/ui/executions/1").await;
        browser.until_path("/login?next=%2Fui%2Fexecutions%2F1").await;
        browser.type_into("input[name=token]", "oxb_nonsense").await;
        browser.click("button.primary").await;
        browser.until_text("p.notice", "no such token").await;
        browser.type_into("input[name=token]", &token).await;
        browser.click("button.primary").await;
        browser.until_path("/ui/executions/1").await;
        assert!(browser.text(".who").await.contains(name));
        assert_eq!(browser.has("form[action='/ui/executions/1/restart']").await, operates, "{name}");
        assert_eq!(browser.has("pre.raw").await, operates, "{name}");
        assert_eq!(browser.has("nav a[href='/ui/audit']").await, audits, "{name}");
        browser.go("/ui/audit").await;
        let said = browser.text("h1").await;
        assert_eq!(said == "Audit", audits, "{name}: {said}");
        browser.go("/").await;
        browser.click(".who form button").await;
        browser.until_path("/login").await;
        browser.go("/ui/jobs").await;
        browser.until_path("/login").await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_execution_is_found_and_restarted_by_the_keyboard_alone() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"fault": "amount"}"#).await;
    let browser = Browser::open(&place).await;
    browser.go("/").await;
    press_until(&browser, "BookTrades #1").await;
    let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle").await;
    assert_eq!(outline, "solid", "the focus is seen");
    browser.press(Key::Enter).await;
    browser.until_path("/ui/executions/1").await;
    browser.find("section[aria-labelledby=restart] button.primary").await;
    press_until(&browser, "Restart as planned").await;
    browser.press(Key::Enter).await;
    browser.until_path("/ui/executions/2").await;
    browser.close().await;
}

/// Presses Tab until something with this text has the focus.
async fn press_until(browser: &Browser, text: &str) {
    for _ in 0..60 {
        browser.press(Key::Tab).await;
        let focused = browser.run("return document.activeElement.innerText").await;
        if focused.as_str().is_some_and(|focused| focused.contains(text)) {
            return;
        }
    }
    panic!("no Tab leads to {text}");
}
