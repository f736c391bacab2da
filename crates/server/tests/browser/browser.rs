//! A browser at a place: goes, reads, clicks, types, waits, and looks at its own log at the end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::driver::DRIVER;
use crate::place::Place;
use crate::webdriver::{Key, Session};

/// Long enough for anything that is going to happen; a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Browser {
    session: Session,
    origin: String,
    /// Parts of lines of the log that a test has asked for: answers that are errors.
    expected: Vec<&'static str>,
}

impl Browser {
    pub(crate) fn open(place: &Place) -> Self {
        Self::with(place, &json!({}))
    }

    /// A browser in which no script of a page runs.
    pub(crate) fn without_script(place: &Place) -> Self {
        Self::with(place, &json!({"profile.managed_default_content_settings.javascript": 2}))
    }

    fn with(place: &Place, preferences: &Value) -> Self {
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1280,900",
        ];
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments, "prefs": preferences},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        Self { session: Session::new(&DRIVER.url, &wanted), origin: place.origin(), expected: Vec::new() }
    }

    pub(crate) fn expect_in_log(&mut self, part: &'static str) {
        self.expected.push(part);
    }

    pub(crate) fn go(&self, path: &str) {
        self.session.post("/url", &json!({"url": format!("{}{path}", self.origin)})).unwrap();
    }

    pub(crate) fn reload(&self) {
        self.session.post("/refresh", &json!({})).unwrap();
    }

    /// The path with its query, as the address line has it.
    pub(crate) fn path(&self) -> String {
        let url = self.session.get("/url").unwrap_or_default();
        url.as_str().unwrap_or_default().trim_start_matches(self.origin.as_str()).to_owned()
    }

    /// Polls until something is there.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
        let deadline = Instant::now() + LONG;
        loop {
            match look() {
                Ok(found) => return found,
                Err(error) if Instant::now() > deadline => panic!("{what} at {}: {error}", self.path()),
                Err(_) => std::thread::sleep(POLL_EVERY),
            }
        }
    }

    pub(crate) fn find(&self, selector: &str) -> String {
        self.until(selector, || self.session.find(selector))
    }

    /// The text of the first element that fits, polled for: a page that loads has none, and one that is live may just
    /// have replaced it.
    pub(crate) fn text(&self, selector: &str) -> String {
        self.until(selector, || self.part_of(selector, "text"))
    }

    /// The value of a field.
    pub(crate) fn value(&self, selector: &str) -> String {
        self.until(selector, || self.part_of(selector, "property/value"))
    }

    fn part_of(&self, selector: &str, part: &str) -> Result<String, String> {
        let element = self.session.find(selector)?;
        let text = self.session.get(&format!("/element/{element}/{part}"))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn click(&self, selector: &str) {
        self.until(selector, || {
            let element = self.session.find(selector)?;
            self.session.post(&format!("/element/{element}/click"), &json!({}))
        });
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.session.post(&format!("/element/{element}/clear"), &json!({})).unwrap();
        self.session.post(&format!("/element/{element}/value"), &json!({"text": text})).unwrap();
    }

    /// Waits until the text of an element has a part; it may be on the page that is loading.
    pub(crate) fn until_text(&self, selector: &str, part: &str) {
        self.until(&format!("{selector} with {part}"), || {
            let text = self.part_of(selector, "text")?;
            if text.contains(part) { Ok(()) } else { Err(text) }
        });
    }

    pub(crate) fn until_path(&self, part: &str) {
        self.until(part, || {
            let path = self.path();
            if path.contains(part) { Ok(()) } else { Err(path) }
        });
    }

    /// `true` if the page has such an element, asked once it is loaded.
    pub(crate) fn has(&self, selector: &str) -> bool {
        self.until("a loaded page", || match self.session.run("return document.readyState", false)? {
            state if state == "complete" => Ok(()),
            state => Err(state.to_string()),
        });
        self.session.find(selector).is_ok()
    }

    pub(crate) fn press(&self, key: Key) {
        self.session.press(key).unwrap();
    }

    pub(crate) fn run(&self, script: &str) -> Value {
        self.session.run(script, false).unwrap()
    }

    pub(crate) fn run_async(&self, script: &str) -> Value {
        self.session.run(script, true).unwrap()
    }

    /// Opens a tab and goes on in it.
    pub(crate) fn new_tab(&self) {
        let tab = self.session.post("/window/new", &json!({"type": "tab"})).unwrap();
        self.switch_to(tab["handle"].as_str().unwrap());
    }

    pub(crate) fn tabs(&self) -> Vec<String> {
        let tabs = self.session.get("/window/handles").unwrap();
        tabs.as_array().unwrap().iter().map(|tab| tab.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn switch_to(&self, tab: &str) {
        self.session.post("/window", &json!({"handle": tab})).unwrap();
    }

    /// Draws pages in dark or light colours from now on.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.session.tell("Emulation.setEmulatedMedia", &features).unwrap();
    }

    /// Draws pages on a screen of this width from now on.
    pub(crate) fn resize(&self, width: u32, height: u32, is_phone: bool) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.session.tell("Emulation.setDeviceMetricsOverride", &screen).unwrap();
    }

    /// A picture of the whole page, in the folder of the pictures.
    pub(crate) fn picture(&self, name: &str, width: u32, is_phone: bool) {
        let height = self.run("return document.documentElement.scrollHeight").as_u64().unwrap();
        self.resize(width, u32::try_from(height.clamp(500, 4_000)).unwrap(), is_phone);
        let taken = self.session.get("/screenshot").unwrap();
        std::fs::write(pictures().join(format!("{name}.png")), decoded(taken.as_str().unwrap())).unwrap();
        self.resize(width, 900, is_phone);
    }

    /// Looks at the log of the browser, and ends it.
    pub(crate) fn close(self) {
        for entry in self.session.log("browser") {
            let (level, message) = (entry["level"].as_str().unwrap(), entry["message"].as_str().unwrap());
            let is_expected = self.expected.iter().any(|part| message.contains(part));
            assert!(is_expected || !["SEVERE", "WARNING"].contains(&level), "{level}: {message}");
        }
        for entry in self.session.log("performance") {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if event["message"]["method"] == "Network.requestWillBeSent" {
                let url = event["message"]["params"]["request"]["url"].as_str().unwrap();
                let is_own = url.starts_with(&self.origin) || url.starts_with("data:") || url.starts_with("chrome:");
                assert!(is_own, "a request went to {url}");
            }
        }
    }
}

/// The folder of the pictures: `OXBATCH_TEST_PICTURES`, or one in the target folder.
fn pictures() -> PathBuf {
    let folder = std::env::var_os("OXBATCH_TEST_PICTURES").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The bytes of a text in Base64.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for digit in text.bytes().filter_map(digit) {
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}
