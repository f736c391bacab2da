//! Live updates without a reload: one stream for all tabs, a service that goes away and comes back.

use oxbatch_server::ServerConfig;
use oxbatch_test_postgres::{TestDatabase, TestServer};

use crate::browser::Browser;
use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_followed_the_stop_is_heard_and_the_restart_goes_on_from_there() {
    let place = Place::new().await;
    place.launch("Slow", "{}").await;
    let browser = Browser::open(&place);
    browser.go("/ui/executions/1");
    browser.run("window.mark = 'not loaded anew'");
    place.gate.open(3);
    browser.until_text("dl.counts", "3");
    browser.until_text(".head .bar", "%");
    place.gate.open(4);
    browser.until_text("dl.counts", "7");
    assert_eq!(browser.run("return window.mark"), "not loaded anew");
    browser.click("form[action='/ui/executions/1/stop'] button");
    // Not before the stop is known: what is let through until then is not stopped.
    browser.until_text("h1 .badge", "STOPPING");
    // More than the chunks that are filled ahead: the stop is heard behind them.
    place.gate.open(20);
    browser.until_text("h1 .badge", "STOPPED");
    assert!(browser.text("section[aria-labelledby=restart]").contains("Resumes step Count"));
    browser.click("section[aria-labelledby=restart] button.primary");
    browser.until_path("/ui/executions/2");
    place.gate.open(200);
    browser.until_text("h1 .badge", "COMPLETED");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_tabs_share_one_stream_and_none_hangs() {
    // A second stream would be refused, and the tab would say that it is not live.
    let mut config = ServerConfig::new("127.0.0.1:0");
    config.limits.max_streams = 1;
    let place = Place::with(config).await;
    place.launch("Slow", "{}").await;
    let browser = Browser::open(&place);
    browser.go("/");
    for _ in 0..8 {
        browser.new_tab();
        browser.go("/ui/executions/1");
    }
    let tabs = browser.tabs();
    assert_eq!(tabs.len(), 9);
    place.gate.open(5);
    for tab in tabs.into_iter().skip(1) {
        browser.switch_to(&tab);
        browser.until_text("dl.counts", "5");
        assert_eq!(browser.text("#stream"), "", "the tab is live");
    }
    place.gate.open(200);
    browser.until_text("h1 .badge", "COMPLETED");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_that_the_service_is_away_and_goes_on_when_it_is_back() {
    let mut place = Place::new().await;
    place.launch("Slow", "{}").await;
    let mut browser = Browser::open(&place);
    for part in
        ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"]
    {
        browser.expect_in_log(part);
    }
    browser.go("/ui/executions/1");
    place.gate.open(2);
    browser.until_text("dl.counts", "2");
    place.silence().await;
    browser.until_text("#stream", "not live");
    place.gate.open(6);
    place.serve().await;
    browser.until_text("dl.counts", "8");
    assert_eq!(browser.text("#stream"), "");
    place.gate.open(200);
    browser.until_text("h1 .badge", "COMPLETED");
    browser.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_outlives_a_stop_of_postgresql() {
    let mut server = TestServer::start();
    let database = TestDatabase::on(server.url());
    let place = Place::on_postgres(database.url()).await;
    place.launch("Slow", "{}").await;
    let mut browser = Browser::open(&place);
    browser.expect_in_log("status of 50");
    browser.go("/ui/executions/1");
    browser.run("window.mark = 'not loaded anew'");
    place.gate.open(2);
    browser.until_text("dl.counts", "2");
    server.tell("stop");
    // What is counted meanwhile cannot be shown, and the page says so.
    browser.run("document.dispatchEvent(new Event('visibilitychange'))");
    browser.until_text("#stream", "not live");
    browser.new_tab();
    browser.go("/ui/jobs");
    browser.until_text("main", "This may pass by itself");
    server.tell("start");
    let tabs = browser.tabs();
    browser.reload();
    browser.until_text("h1", "Jobs");
    browser.switch_to(&tabs[0]);
    browser.run("document.dispatchEvent(new Event('visibilitychange'))");
    browser.until("the page is live again", || match browser.text("#stream").as_str() {
        "" => Ok(()),
        said => Err(said.to_owned()),
    });
    assert_eq!(browser.run("return window.mark"), "not loaded anew");
    place.gate.open(200);
    browser.until_text("h1 .badge", "COMPLETED");
    browser.until_text("h1", "Slow #1");
    browser.close();
}
