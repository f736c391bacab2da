//! A browser at a place: goes, reads, clicks, types, waits, and looks at its own log at the end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::cdp::Cdp;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, Key};

use crate::driver::DRIVER;
use crate::place::Place;

/// Long enough for anything that is going to happen; a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    origin: String,
    /// Parts of lines of the log that a test has asked for: answers that are errors.
    expected: Vec<&'static str>,
}

impl Browser {
    pub(crate) async fn open(place: &Place) -> Self {
        Self::with(place, true).await
    }

    /// A browser in which no script of a page runs.
    pub(crate) async fn without_script(place: &Place) -> Self {
        Self::with(place, false).await
    }

    async fn with(place: &Place, runs_scripts: bool) -> Self {
        let mut wanted = DesiredCapabilities::chrome();
        for argument in
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"]
        {
            wanted.add_arg(argument).unwrap();
        }
        wanted.add_arg("--window-size=1280,900").unwrap();
        if !runs_scripts {
            let refused = json!({"profile.managed_default_content_settings.javascript": 2});
            wanted.add_experimental_option("prefs", refused).unwrap();
        }
        wanted.insert_base_capability("goog:loggingPrefs".to_owned(), json!({"browser": "ALL", "performance": "ALL"}));
        let driver = WebDriver::new(&DRIVER.url, wanted).await.unwrap();
        Self { driver, origin: place.origin(), expected: Vec::new() }
    }

    pub(crate) fn expect_in_log(&mut self, part: &'static str) {
        self.expected.push(part);
    }

    pub(crate) async fn go(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.origin)).await.unwrap();
    }

    /// The path with its query, as the address line has it.
    pub(crate) async fn path(&self) -> String {
        self.driver.current_url().await.unwrap().as_str().trim_start_matches(self.origin.as_str()).to_owned()
    }

    pub(crate) async fn find(&self, selector: &str) -> WebElement {
        let deadline = Instant::now() + LONG;
        loop {
            match self.driver.find(By::Css(selector)).await {
                Ok(element) => return element,
                Err(error) if Instant::now() > deadline => panic!("{selector} at {}: {error}", self.path().await),
                Err(_) => tokio::time::sleep(POLL_EVERY).await,
            }
        }
    }

    /// The text of the first element that fits; empty where none does, or it was just replaced.
    pub(crate) async fn text(&self, selector: &str) -> String {
        match self.driver.find(By::Css(selector)).await {
            Ok(element) => element.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    pub(crate) async fn click(&self, selector: &str) {
        let deadline = Instant::now() + LONG;
        loop {
            let element = self.find(selector).await;
            let _ = element.scroll_into_view().await;
            match element.click().await {
                Ok(()) => return,
                Err(error) if Instant::now() > deadline => panic!("{selector}: {error}"),
                Err(_) => tokio::time::sleep(POLL_EVERY).await,
            }
        }
    }

    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        element.clear().await.unwrap();
        element.send_keys(text).await.unwrap();
    }

    /// Waits until the text of an element has a part; it may be on the page that is loading.
    pub(crate) async fn until_text(&self, selector: &str, part: &str) {
        let deadline = Instant::now() + LONG;
        loop {
            let text = self.text(selector).await;
            if text.contains(part) {
                return;
            }
            assert!(Instant::now() < deadline, "{selector} at {} has no {part}: {text}", self.path().await);
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    pub(crate) async fn until_path(&self, part: &str) {
        let deadline = Instant::now() + LONG;
        while !self.path().await.contains(part) {
            assert!(Instant::now() < deadline, "it is at {}, not {part}", self.path().await);
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    pub(crate) async fn has(&self, selector: &str) -> bool {
        self.driver.find(By::Css(selector)).await.is_ok()
    }

    pub(crate) async fn press(&self, key: Key) {
        self.driver.action_chain().send_keys(key).perform().await.unwrap();
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    pub(crate) async fn tell(&self, command: &str, arguments: Value) {
        Cdp::new(self.driver.handle.clone()).send_raw(command, arguments).await.unwrap();
    }

    /// Draws pages in dark or light colours from now on.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.tell("Emulation.setEmulatedMedia", features).await;
    }

    /// Draws pages on a screen of this width from now on.
    pub(crate) async fn resize(&self, width: u32, height: u32, is_phone: bool) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.tell("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// A picture of the whole page, in the folder of the pictures.
    pub(crate) async fn picture(&self, name: &str, width: u32, is_phone: bool) {
        let height = self.run("return document.documentElement.scrollHeight").await.as_u64().unwrap();
        self.resize(width, u32::try_from(height.clamp(500, 4_000)).unwrap(), is_phone).await;
        self.driver.screenshot(&pictures().join(format!("{name}.png"))).await.unwrap();
        self.resize(width, 900, is_phone).await;
    }

    /// Looks at the log of the browser, and ends it.
    pub(crate) async fn close(self) {
        for entry in self.driver.browser_log().await.unwrap() {
            let is_expected = self.expected.iter().any(|part| entry.message.contains(part));
            let is_bad = ["SEVERE", "WARNING"].contains(&entry.level.as_str());
            assert!(!is_bad || is_expected, "{}: {}", entry.level, entry.message);
        }
        for entry in self.driver.get_log("performance").await.unwrap() {
            let event: Value = serde_json::from_str(&entry.message).unwrap();
            if event["message"]["method"] == "Network.requestWillBeSent" {
                let url = event["message"]["params"]["request"]["url"].as_str().unwrap();
                let is_own = url.starts_with(&self.origin) || url.starts_with("data:") || url.starts_with("chrome:");
                assert!(is_own, "a request went to {url}");
            }
        }
        self.driver.quit().await.unwrap();
    }
}

/// The folder of the pictures: `OXBATCH_TEST_PICTURES`, or one in the target folder.
pub(crate) fn pictures() -> PathBuf {
    let folder = std::env::var_os("OXBATCH_TEST_PICTURES").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
