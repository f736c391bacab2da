//! The pages in a real browser, headless Chromium, on the real accept loop, engine and database.
//!
//! Each test ends with a look at the browser's own log: no error, no violation of the policy, no other host.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod browser;
mod driver;
mod live;
mod looks;
mod people;
mod place;
mod webdriver;
mod work;
