//! A headless Chromium, driven by W3C's WebDriver and the extensions of chromedriver.

use std::{env, path::Path, process::Stdio, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::PATIENCE;

/// How often a page is polled: it sends no event when it changes.
const LOOK: Duration = Duration::from_millis(50);

/// A browser with one page; it ends when this is dropped.
pub(crate) struct Browser {
    client: Client,
    session: String,
    _driver: Child,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        // Another process may take the port that the driver has chosen.
        let (driver, port) = match driver().await {
            Some(started) => started,
            None => driver().await.expect("chromedriver says its port"),
        };
        let (client, profile) = (Client::new(), TempDir::new().expect("a folder"));
        let folder = format!("--user-data-dir={}", profile.path().display());
        // As root, Chromium has no sandbox; and /dev/shm is often small.
        let switches = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            // The browser ends when the pipe closes, so it never outlives its driver.
            "--remote-debugging-pipe",
            &folder,
        ];
        let options = json!({
            "goog:chromeOptions": { "binary": program("SOLOIST_TEST_CHROMIUM"), "args": switches },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let driver_url = format!("http://127.0.0.1:{port}/session");
        let wanted = json!({ "capabilities": { "alwaysMatch": options } });
        let began = call(&client, Method::POST, &driver_url, Some(wanted)).await;
        let session = format!("{driver_url}/{}", began["sessionId"].as_str().expect("a session"));
        Self { client, session, _driver: driver, _profile: profile }
    }

    pub(crate) async fn go(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// Runs a script on the page with `arguments`; returns its result.
    pub(crate) async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// Waits until an expression on the page is true.
    pub(crate) async fn until(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        let shown = timeout(PATIENCE, async {
            while self.run(&script, &[]).await != true {
                sleep(LOOK).await;
            }
        });
        if shown.await.is_err() {
            let page = self.run("return document.body.innerText", &[]).await;
            panic!("never: {expression}\n{}", page.as_str().unwrap_or_default());
        }
    }

    /// Clicks the element like a person: it must be visible.
    pub(crate) async fn click(&self, selector: &str) {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.post("element", wanted).await;
        let id = found.as_object().and_then(|it| it.values().next()).expect("an element");
        let id = id.as_str().expect("an id");
        self.post(&format!("element/{id}/click"), json!({})).await;
    }

    /// Moves the focus to the element.
    pub(crate) async fn focus(&self, selector: &str) {
        self.run("document.querySelector(arguments[0]).focus()", &[selector.into()]).await;
    }

    /// Presses keys; the focused element gets them.
    pub(crate) async fn press(&self, keys: &str) {
        let of = |kind: &'static str| move |key: char| json!({ "type": kind, "value": key });
        let actions: Vec<_> =
            keys.chars().flat_map(|key| [of("keyDown")(key), of("keyUp")(key)]).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("actions", json!({ "actions": [keyboard] })).await;
    }

    /// Sets the size of the screen, and a light or dark scheme.
    pub(crate) async fn screen(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [scheme] })).await;
    }

    /// A screenshot, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let picture = call(&self.client, Method::GET, &self.path("screenshot"), None).await;
        let text = picture.as_str().expect("a picture");
        let mut bytes = vec![0; text.len()];
        let length = BASE64_STANDARD.decode_slice(text, &mut bytes).expect("Base64");
        bytes.truncate(length);
        bytes
    }

    /// The lines of the console since the last call.
    pub(crate) async fn console(&self) -> Vec<String> {
        let lines = self.post("se/log", json!({ "type": "browser" })).await;
        let lines = lines.as_array().expect("lines").iter();
        lines.map(|line| format!("{}: {}", line["level"], line["message"])).collect()
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let order = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", order).await;
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        call(&self.client, Method::POST, &self.path(path), Some(body)).await
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.session)
    }

    /// Ends the browser with all its processes.
    pub(crate) async fn end(self) {
        call(&self.client, Method::DELETE, &self.session, None).await;
    }
}

/// Starts chromedriver, and returns its address; none if it ended at once.
async fn driver() -> Option<(Child, String)> {
    let mut driver = Command::new(program("SOLOIST_TEST_CHROMEDRIVER"))
        .arg("--port=0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver starts");
    let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
    while let Some(line) =
        timeout(PATIENCE, lines.next_line()).await.expect("a line").expect("text")
    {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return Some((driver, port.trim_end_matches('.').to_owned()));
        }
    }
    None
}

/// Sends one command of WebDriver.
async fn call(client: &Client, method: Method, url: &str, body: Option<Value>) -> Value {
    let request = client.request(method, url).timeout(PATIENCE);
    let request = match &body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = request.send().await.expect("chromedriver answers");
    let mut answer: Value = answer.json().await.expect("JSON");
    let value = answer["value"].take();
    assert!(value["error"].is_null(), "{url} {body:?}: {value:#}");
    value
}

fn program(variable: &str) -> String {
    let set = env::var(variable);
    set.unwrap_or_else(|_| panic!("{variable} is not set: run it by `cargo xtask ci`"))
}

/// Stores a picture in the folder `SOLOIST_TEST_PICTURES`, if that is set.
pub(crate) fn keep(name: &str, picture: &[u8]) {
    if let Some(folder) = env::var_os("SOLOIST_TEST_PICTURES") {
        std::fs::write(Path::new(&folder).join(name), picture).expect("a file");
    }
}
