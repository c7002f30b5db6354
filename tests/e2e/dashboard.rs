//! The dashboard in a real browser, with real hosts.

mod hostile;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use reqwest::Client;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::harness::{
    PATIENCE, at as address,
    browser::{Browser, keep},
    cluster::{Cluster, Kind},
    guests, own_address, plugins,
    process::agrees,
};

/// The keys Esc and Enter, as WebDriver encodes them.
const ESC: &str = "\u{e00c}";
const ENTER: &str = "\u{e007}";
/// The maximum size of a picture in the documents, in bytes.
const PICTURE_MAX: usize = 150 << 10;
/// HTML that a plugin may print to attack whoever reads its log.
const HURT: &str = "<img src=x onerror=window.hurt=1>";

/// A service, a job that fails and prints HTML, and a task.
fn settings() -> String {
    let (plugins, guests) = (plugins(), guests());
    format!(
        "[action.primes]\nplugin = \"{}\"\n\
         [action.report]\nplugin = \"{}\"\nschedule = \"0 3 * * *\"\nargs = [\"{HURT}\"]\n\
         [action.work]\nplugin = \"{}\"\n",
        plugins.join("job-runner.wasm").display(),
        guests.join("job.wasm").display(),
        guests.join("work.wasm").display(),
    )
}

async fn of_three() -> Cluster {
    of_three_on(Kind::Sqlite).await
}

async fn of_three_on(kind: Kind) -> Cluster {
    Cluster::new(kind).await.with_three_like(&settings()).await
}

/// A JavaScript expression: whether an element shows this text.
fn shows(selector: &str, text: &str) -> String {
    format!("document.querySelector({selector:?})?.innerText?.includes({text:?})")
}

fn leads(host: &str) -> String {
    format!("document.querySelector('[data-group=main] .name')?.innerText === {host:?}")
}

async fn at(cluster: &Cluster, host: &str) -> Browser {
    let browser = Browser::start().await;
    browser.screen(1000, 900, "light").await;
    browser.go(&format!("http://{}/", cluster.host(host).api().await)).await;
    browser
}

/// Confirms the open dialog, and waits until its command is done.
async fn confirm(browser: &Browser) {
    browser.click("#order [type=submit]").await;
    browser.until("!document.getElementById('order').open").await;
}

/// Posts a command to a host, and waits until it is done.
async fn post(cluster: &Cluster, host: &str, path: &str, order: &Value) {
    let url = format!("http://{}{path}", cluster.host(host).api().await);
    let answer = Client::new().post(url).json(order).send().await.expect("an answer");
    answer.error_for_status().expect("done");
}

/// Runs the job at a host that leads, and waits until that is done. The job starts after the term
/// has begun; before that, the host answers that one should ask again.
async fn run_report(cluster: &Cluster, host: &str) {
    let url = format!("http://{}/v1/jobs/report/run?wait=true", cluster.host(host).api().await);
    let client = Client::new();
    let done = timeout(PATIENCE, async {
        loop {
            let answer = client.post(&url).send().await.expect("an answer");
            if answer.status() != StatusCode::CONFLICT {
                return answer.error_for_status().expect("done");
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    done.await.expect("the job does not start");
}

/// Checks that no error has occurred in the page.
async fn assert_quiet(browser: &Browser) {
    let lines = browser.console().await;
    assert!(lines.is_empty(), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn leadership_moves_on_the_page_while_the_leader_is_killed() {
    let mut cluster = of_three().await;
    let browser = at(&cluster, "b").await;
    browser.until(&leads("a")).await;
    browser.until(&shows("#line", "live")).await;
    browser.until(&shows("[data-group=main] .lease-words", "known on a")).await;
    browser.until("document.querySelectorAll('#hosts .state.up').length === 3").await;
    browser.until("document.querySelector('[data-host=a]').matches('.leads')").await;
    browser.until(&shows("#tasks", "work")).await;
    let link = "document.querySelector('[data-action=web] a')?.href";
    browser.until(&format!("{link} === 'http://{}/'", cluster.web_at)).await;
    browser.until(&shows("[data-group=main] .facts", "b, then c")).await;
    // A member that ends before another host has recorded it would be forgotten.
    agrees(cluster.host("b"), |status| status["hosts"][0]["first_seen_at"].is_string()).await;
    cluster.kill("a").await;
    browser.until(&leads("b")).await;
    browser.until("document.querySelector('[data-host=b]').matches('.leads')").await;
    browser.until("document.querySelectorAll('#hosts .leads').length === 1").await;
    browser.until(&shows("[data-host=a] .state", "gone")).await;
    browser.until(&shows("#terms .lost", "session ended")).await;
    browser.until(&shows("#terms .now", "b leads main")).await;
    browser.until(&shows("#news", "b leads main")).await;
    browser.until("document.title.startsWith('b ')").await;
    // The bar of this host's lease shrinks, and grows with each renewal.
    let width = "parseFloat(document.querySelector('.lease > span').style.width)";
    browser.until(&format!("{width} > 90")).await;
    browser.until(&format!("{width} < 88")).await;
    browser.until(&format!("{width} > 90")).await;
    assert_quiet(&browser).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn a_button_asks_first_and_does_its_work() {
    let cluster = of_three().await;
    let browser = at(&cluster, "c").await;
    browser.until(&leads("a")).await;
    browser.until("!document.querySelector('[data-group=main] button').disabled").await;
    // By keyboard alone: the dialog is opened and left with Esc, and nothing has changed.
    browser.focus("[data-group=main] button").await;
    browser.press(ENTER).await;
    browser.until("document.getElementById('order').open").await;
    browser.until(&shows("#order-what", "a ends its term")).await;
    browser.press(ESC).await;
    browser.until("!document.getElementById('order').open").await;
    let back = "document.activeElement.innerText === 'Switch over'";
    browser.until(back).await;
    browser.press(ENTER).await;
    browser.until("document.getElementById('order').open").await;
    browser.focus("#order-reason").await;
    browser.press("new disks").await;
    assert_eq!(cluster.host("a").log.events("command").len(), 0);
    browser.press(ENTER).await;
    browser.until(&leads("b")).await;
    browser.until("!document.getElementById('order').open").await;
    let command = cluster.host("a").log.event(0, "command").await;
    let said = [&command["by"], &command["reason"], &command["command"]];
    assert_eq!(said, ["dashboard", "new disks", "switchover"].map(Value::from).each_ref());

    browser.click("[data-host=a] button").await;
    confirm(&browser).await;
    browser.until(&shows("[data-host=a]", "drained by dashboard")).await;
    browser.click("[data-group=main] button:nth-child(3)").await;
    browser.until(&shows("#order-title", "Pause main")).await;
    confirm(&browser).await;
    browser.until(&shows("[data-group=main]", "paused by dashboard")).await;
    browser.until(&shows("[data-group=main] button:nth-child(3)", "Resume")).await;
    // A refusal is shown in the dialog that asked.
    browser.click("[data-group=main] button:nth-child(2)").await;
    browser.run("document.getElementById('order-to').value = 'a'", &[]).await;
    browser.click("#order [type=submit]").await;
    browser.until(&shows("#order-refusal", "main is paused, by dashboard")).await;
    let refusal = browser.console().await;
    assert!(refusal.len() == 1 && refusal[0].contains("409"), "{refusal:?}");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn what_a_plugin_prints_is_text() {
    let cluster = of_three().await;
    let browser = at(&cluster, "b").await;
    browser.until("document.querySelector('[data-job=report] button')").await;
    browser.click("[data-job=report] button").await;
    browser.until(&shows("#order-what", "runs report once")).await;
    confirm(&browser).await;
    browser.until(&shows("[data-job=report] .state.bad", "failed")).await;
    browser.click("[data-action=report] button").await;
    browser.until(&shows(".log", HURT)).await;
    let hurt = browser.run("return [window.hurt ?? null, document.images.length]", &[]).await;
    assert_eq!(hurt, json!([null, 0]));
    // New lines appear while the log is open, and only one log is open at a time.
    browser.click("[data-action=primes] button").await;
    let lines = "document.querySelectorAll('.log li').length";
    browser.until(&format!("{lines} > 2 && document.querySelectorAll('.log').length === 1")).await;
    let before = browser.run(&format!("return {lines}"), &[]).await;
    browser.until(&format!("{lines} > {before}")).await;
    assert_quiet(&browser).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn the_page_fits_every_screen() {
    let cluster = of_three_on(Kind::Etcd).await;
    // Events for the picture: a leader resigned, and a job failed.
    let order = json!({ "by": "ada", "reason": "new disks" });
    post(&cluster, "a", "/v1/switchover", &order).await;
    cluster.leading("b").await;
    run_report(&cluster, "b").await;
    let browser = at(&cluster, "b").await;
    browser.until(&leads("b")).await;
    browser.until(&shows("[data-job=report] .state.bad", "failed")).await;
    browser.until(&shows("#terms .over", "a led main")).await;
    browser.focus("[data-action=primes] button").await;
    browser.press(ENTER).await;
    browser.until("document.querySelectorAll('.log li').length > 2").await;
    for (name, width, height, scheme) in [
        ("dashboard-light.png", 1000, 940, "light"),
        ("dashboard-dark.png", 1000, 940, "dark"),
        ("dashboard-phone.png", 320, 680, "dark"),
    ] {
        browser.screen(width, height, scheme).await;
        browser.until(&format!("innerWidth === {width}")).await;
        // Neither the page nor a dialog needs horizontal scrolling.
        browser.focus("[data-group=main] button:nth-child(2)").await;
        browser.press(ENTER).await;
        browser.until("document.getElementById('order').open").await;
        let widest = "document.documentElement.scrollWidth,\
                      ...[...document.querySelectorAll('dialog, .log')].map(\
                        (it) => it.scrollWidth - it.clientWidth)";
        let widest = browser.run(&format!("return [{widest}]"), &[]).await;
        assert_eq!(widest, json!([width, 0, 0, 0]), "{name}");
        browser.press(ESC).await;
        browser.run("document.activeElement.blur(); scrollTo(0, 0)", &[]).await;
        browser.until("scrollY === 0 && !document.getElementById('order').open").await;
        let picture = browser.picture().await;
        assert!(picture.len() < PICTURE_MAX, "{name}: {} bytes", picture.len());
        keep(name, &picture);
    }
    assert_quiet(&browser).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn a_page_that_is_cut_off_says_so_and_comes_back() {
    let mut cluster = of_three().await;
    let browser = at(&cluster, "b").await;
    browser.until(&leads("a")).await;
    browser.until("document.getElementById('cut-off').hidden").await;
    cluster.freeze("b").await;
    browser.until(&shows("#cut-off", "Cut off from b: it is silent")).await;
    browser.until(&shows("#cut-off .elsewhere", "a, c")).await;
    cluster.signal("b", Signal::CONT);
    browser.until("document.getElementById('cut-off').hidden").await;
    browser.until(&shows("#line", "live")).await;
    browser.until("document.querySelectorAll('#terms .now').length === 1").await;
    assert_quiet(&browser).await;
    cluster.kill("b").await;
    browser.until(&shows("#cut-off", "Cut off from b")).await;
    browser.until(&shows("#line", "cut off")).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn an_address_of_two_hosts_is_warned_of() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let same = "[host]\nadvertise = \"http://10.9.8.7:4000\"\n";
    cluster.join_with("a", same).await;
    let browser = at(&cluster, "a").await;
    browser.until(&leads("a")).await;
    browser.until("document.getElementById('warnings').hidden").await;
    cluster.join_with("b", same).await;
    let warning = "a and b both advertise http://10.9.8.7:4000: set `host.advertise`";
    browser.until(&shows("#warnings", warning)).await;
    cluster.terminate("b").await;
    browser.until("document.getElementById('warnings').hidden").await;
    assert_quiet(&browser).await;
    browser.end().await;
}

/// A proxy in front of a host, which requires a token for the control API.
async fn door(api: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(address(own_address(), 4000)).await.expect("a free port");
    let door = listener.local_addr().expect("an address");
    let serve = axum::serve(listener, Router::new().fallback(pass).with_state(api));
    (door, tokio::spawn(async move { serve.await.expect("it serves") }))
}

async fn pass(State(api): State<SocketAddr>, request: Request) -> Response {
    let token = request.headers().get(header::AUTHORIZATION);
    if request.uri().path().starts_with("/v1/") && token.is_none_or(|it| it != "Bearer sesame") {
        return (StatusCode::UNAUTHORIZED, r#"{"detail": "no token", "help": ""}"#).into_response();
    }
    let asked = Client::new().get(format!("http://{api}{}", request.uri()));
    let accept = request.headers().get(header::ACCEPT).expect("a browser says it");
    let answer = asked.header(header::ACCEPT, accept).send().await.expect("an answer");
    let form = (header::CONTENT_TYPE, answer.headers()[header::CONTENT_TYPE].clone());
    let body = stream::unfold(answer, |mut answer| async move {
        let piece = answer.chunk().await.ok()??;
        Some((Ok::<_, Infallible>(piece), answer))
    });
    ([form], Body::from_stream(body)).into_response()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn a_token_is_asked_for_and_kept() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    cluster.join("a").await;
    cluster.leading("a").await;
    let (door, task) = door(cluster.host("a").api().await).await;
    let browser = Browser::start().await;
    browser.go(&format!("http://{door}/")).await;
    let asks = "document.getElementById('token').open";
    browser.until(asks).await;
    browser.press("wrong").await;
    browser.press(ENTER).await;
    browser.until(&format!("{asks} && !document.getElementById('token-value').value")).await;
    browser.press("sesame").await;
    browser.press(ENTER).await;
    browser.until(&leads("a")).await;
    assert_eq!(browser.run(&format!("return {asks}"), &[]).await, false);
    // The token is kept as long as the tab.
    browser.go(&format!("http://{door}/?again")).await;
    browser.until(&leads("a")).await;
    let kept = browser.run("return [localStorage.length, document.cookie]", &[]).await;
    assert_eq!(kept, json!([0, ""]));
    // After a cancelled prompt, the page does not ask again.
    browser.run("sessionStorage.clear()", &[]).await;
    browser.go(&format!("http://{door}/")).await;
    browser.until(asks).await;
    browser.press(ESC).await;
    browser.until(&shows("#cut-off", "a token is required; reload the page")).await;
    browser.end().await;
    task.abort();
}
