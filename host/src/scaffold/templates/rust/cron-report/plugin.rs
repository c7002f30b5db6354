//! Looks at a page of text by its schedule, and posts what has changed in it since the last time.
//!
//! One host reports, so nobody gets a report twice. What was seen last is in the state, which the
//! next leader compares with.

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });
}

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use bindings::wasi::{config::store as config, keyvalue::store::open};
use serde_json::json;
use wstd::{
    http::{Body, Client, Request, request::Builder},
    time::Duration,
};

/// Where the state has what was seen last.
const LAST: &str = "last";
/// The longest page, in bytes: the state takes values of 256 KiB.
const PAGE_MAX: usize = 256 << 10;
/// How long either side may take to answer, in seconds.
const PATIENCE: u64 = 30;

/// One run. An error makes it a failed one, which is tried again (`max_attempts` in the settings).
#[wstd::main]
async fn main() -> Result<()> {
    let (source, webhook) = (setting("source")?, setting("webhook")?);
    let state = open("default").context("set `state = true` in {{name}}.toml")?;
    let page = send(Request::get(source), String::new()).await.context("cannot fetch `source`")?;
    ensure!(page.len() <= PAGE_MAX, "the page has more than {PAGE_MAX} bytes: report on less");
    let last = state.get(LAST)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match last.map(|last| difference(&last, &page)) {
        None => println!("first look: {} lines", page.lines().count()),
        Some(report) if report.is_empty() => println!("nothing has changed"),
        Some(report) => {
            let request = Request::post(webhook).header("content-type", "application/json");
            let body = json!({ "text": report }).to_string();
            send(request, body).await.context("cannot post to `webhook`")?;
            println!("reported {} lines", report.lines().count());
        }
    }
    // Last of all: a run that is lost before this reports the same again, rather than never.
    state.set(LAST, page.as_bytes())?;
    Ok(())
}

/// The lines that are gone, and those that are new.
fn difference(last: &str, now: &str) -> String {
    let (last, now) = (lines(last), lines(now));
    let gone = last.difference(&now).map(|line| format!("- {line}\n"));
    let new = now.difference(&last).map(|line| format!("+ {line}\n"));
    gone.chain(new).collect()
}

fn lines(page: &str) -> BTreeSet<&str> {
    page.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn setting(name: &str) -> Result<String> {
    config::get(name)?.with_context(|| format!("set `config.{name}` in {{name}}.toml"))
}

/// What is answered to a request, if that is a success.
async fn send(request: Builder, body: String) -> Result<String> {
    // Without its length a body goes in pieces, which not every server takes.
    let request = request.header("content-length", body.len()).body(Body::from(body))?;
    let mut client = Client::new();
    client.set_connect_timeout(Duration::from_secs(PATIENCE));
    client.set_first_byte_timeout(Duration::from_secs(PATIENCE));
    let response = client.send(request).await?;
    ensure!(response.status().is_success(), "answered with {}", response.status());
    let text = response.into_body().str_contents().await?.to_owned();
    Ok(text)
}
