//! Roles, and a person who has a keyboard alone.

use oxbatch_core::access::Role;

use crate::browser::Browser;
use crate::place::Place;
use crate::webdriver::Key;

#[tokio::test(flavor = "multi_thread")]
async fn each_role_logs_in_and_sees_what_it_may() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"fault": "amount"}"#).await;
    let (viewer, operator) = (place.token(Role::Viewer, "vera").await, place.token(Role::Operator, "otto").await);
    let admin = place.token(Role::Admin, "ada").await;
    for (token, name, operates, audits) in
        [(viewer, "vera", false, false), (operator, "otto", true, false), (admin, "ada", true, true)]
    {
        let mut browser = Browser::open(&place);
        browser.expect_in_log("status of 403");
        browser.expect_in_log("status of 401");
        browser.go("/ui/executions/1");
        browser.until_path("/login?next=%2Fui%2Fexecutions%2F1");
        browser.type_into("input[name=token]", "oxb_nonsense");
        browser.click("button.primary");
        browser.until_text("p.notice", "no such token");
        browser.type_into("input[name=token]", &token);
        browser.click("button.primary");
        browser.until_path("/ui/executions/1");
        assert!(browser.text(".who").contains(name));
        assert_eq!(browser.has("form[action='/ui/executions/1/restart']"), operates, "{name}");
        assert_eq!(browser.has("pre.raw"), operates, "{name}");
        assert_eq!(browser.has("nav a[href='/ui/audit']"), audits, "{name}");
        browser.go("/ui/audit");
        let said = browser.text("h1");
        assert_eq!(said == "Audit", audits, "{name}: {said}");
        browser.go("/");
        browser.click(".who form button");
        browser.until_path("/login");
        browser.go("/ui/jobs");
        browser.until_path("/login");
        browser.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_execution_is_found_and_restarted_by_the_keyboard_alone() {
    let place = Place::new().await;
    place.run("BookTrades", r#"{"fault": "amount"}"#).await;
    let browser = Browser::open(&place);
    browser.go("/");
    press_until(&browser, "BookTrades #1");
    let outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "the focus is seen");
    browser.press(Key::Enter);
    browser.until_path("/ui/executions/1");
    browser.find("section[aria-labelledby=restart] button.primary");
    press_until(&browser, "Restart as planned");
    browser.press(Key::Enter);
    browser.until_path("/ui/executions/2");
    browser.close();
}

/// Presses Tab until something with this text has the focus.
fn press_until(browser: &Browser, text: &str) {
    for _ in 0..60 {
        browser.press(Key::Tab);
        let focused = browser.run("return document.activeElement.innerText");
        if focused.as_str().is_some_and(|focused| focused.contains(text)) {
            return;
        }
    }
    panic!("no Tab leads to {text}");
}
