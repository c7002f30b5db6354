//! Requests to plugins of both worlds, and what they find in them.

use hyper::Request;

use super::{
    Stage, client,
    table::{Table, World, not_forbidden},
};

pub(super) async fn check(stage: &Stage, world: World, table: &mut Table) {
    let told = api_proxy(stage, world, &[]).await;
    table.note(world, "api_proxy", "what it is asked", told);
    let told = api_proxy(stage, world, &[("custom-forbidden-header", "yes")]).await;
    let otherwise = not_forbidden("headers.has(name) is true");
    table.note_otherwise(world, "api_proxy", "a header that is forbidden", told, otherwise);
}

async fn api_proxy(stage: &Stage, world: World, headers: &[(&str, &str)]) -> Result<(), String> {
    let mut request = Request::get("http://example.com:8080/api-proxy");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(client::nothing()).expect("a request");
    let seen = stage.cluster.host("a").log.len();
    let reply = client::ask(stage.plugin(world), request).await?;
    if world == World::ZeroTwo {
        return reply.told("ok");
    }
    reply.told("hello, world!")?;
    // The plugin has written its complete answer, and was notified that it was sent.
    let said = |line: &serde_json::Value| line.to_string().contains("hello: (0, true) Ok(())");
    stage.cluster.host("a").log.find(seen, "word that the answer was sent", said).await;
    Ok(())
}
