//! Outgoing requests, and how those fail that cannot be sent.

use futures::future::join3;
use wasip3::{
    http::{
        client,
        types::{ErrorCode, Fields, Method, Request, Scheme},
    },
    wit_bindgen::StreamResult,
    wit_future, wit_stream,
};

use crate::{
    Checked,
    client::{Answer, Call, Failure, read},
    content_length, fields, holds, no_trailers,
};

/// The check with this name, with the server at `to`.
pub(crate) async fn check(name: &str, to: &str) -> Checked {
    match name {
        "/get" => get(to).await,
        "/post" => post(to).await,
        "/large-post" => large_post(to).await,
        "/put" => put(to).await,
        "/chunk-size" => chunk_size(to).await,
        "/invalid-version" => invalid_version(to, Method::Connect).await,
        "/invalid-version-get" => invalid_version(to, Method::Get).await,
        "/invalid-header" => fields::invalid_header(),
        "/custom-header" => fields::custom_header(),
        "/unknown-method" => unknown_method(to).await,
        "/unsupported-scheme" => unsupported_scheme(to).await,
        "/invalid-port" => invalid_port(to).await,
        "/invalid-dnsname" => invalid_dnsname(to).await,
        "/response-build" => fields::response_build().await,
        "/content-length-enough" => content_length::enough(to).await,
        "/content-length-too-little" => content_length::too_little(to).await,
        "/content-length-too-much" => content_length::too_much(to).await,
        "/missing-path-and-query" => missing_path_and_query(to).await,
        "/timeout" => timeout(to).await,
        _ => Err("there is no such check".to_owned()),
    }
}

async fn get(to: &str) -> Checked {
    let path = "/get?some=arg&goes=here";
    arrived(&sent(&Call::new(Method::Get, to, path)).await?, "GET", path, b"")
}

async fn post(to: &str) -> Checked {
    let body = b"{\"foo\": \"bar\"}";
    let call = Call { body, ..Call::new(Method::Post, to, "/post") };
    arrived(&sent(&call).await?, "POST", "/post", body)
}

/// More than 1 MiB.
async fn large_post(to: &str) -> Checked {
    let body = vec![1; 1025 * 1024];
    let call = Call { body: &body, ..Call::new(Method::Post, to, "/post") };
    arrived(&sent(&call).await?, "POST", "/post", &body)
}

async fn put(to: &str) -> Checked {
    arrived(&sent(&Call::new(Method::Put, to, "/put")).await?, "PUT", "/put", b"")
}

async fn sent(call: &Call<'_>) -> Result<Answer, String> {
    call.send().await.map_err(|failure| format!("the request failed: {failure:?}"))
}

/// Whether the server has received this request, according to its response.
fn arrived(answer: &Answer, method: &str, path: &str, body: &[u8]) -> Checked {
    holds!(answer.status, 200);
    let (seen, asked) = (answer.header("x-seen-method"), answer.header("x-seen-path"));
    if (seen, asked) != (Some(method), Some(path)) {
        return Err(format!("{method} {path} arrived as {seen:?} {asked:?}"));
    }
    if answer.body != body {
        return Err(format!("of {} bytes, {} came back, or others", body.len(), answer.body.len()));
    }
    Ok(())
}

/// Doubles the size of each write until the host accepts only a part; what was accepted must
/// arrive.
async fn chunk_size(to: &str) -> Checked {
    let (mut writer, from) = wit_stream::new();
    let (trailers, later) = wit_future::new(|| Ok(None));
    let (request, sent) = Request::new(Fields::new(), Some(from), later, None);
    request.set_method(&Method::Post).expect("a method");
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(to)).expect("an authority");
    request.set_path_with_query(Some("/")).expect("a path");
    let write = async {
        let (mut written, mut size) = (0, 16);
        loop {
            assert!(size <= 128 << 20, "the host takes all that there is");
            let (result, left) = writer.write(pattern(written, size)).await;
            let left = left.remaining();
            assert_eq!(result, StreamResult::Complete(size - left));
            written += size - left;
            if left > 0 {
                break;
            }
            size *= 2;
        }
        drop(writer);
        let _ = trailers.write(Ok(None)).await;
        written
    };
    let answer = async { read(client::send(request).await?).await };
    let (sent, written, answer) = join3(async { sent.await }, write, answer).await;
    holds!(sent, Ok(()));
    let answer = answer.map_err(|failure| format!("{failure:?}"))?;
    arrived(&answer, "POST", "/", &pattern(0, written))
}

/// Bytes from `start` of a pattern whose period is not a power of two.
fn pattern(start: usize, len: usize) -> Vec<u8> {
    (start..start + len).map(|place| (place % 251) as u8).collect()
}

/// The server there speaks HTTP/2 only.
async fn invalid_version(to: &str, method: Method) -> Checked {
    let call = Call { patience_ms: Some(1000), ..Call::new(method, to, "/") };
    use ErrorCode::{ConnectionReadTimeout, HttpProtocolError};
    holds!(call.send().await, Err(Failure::Code(HttpProtocolError | ConnectionReadTimeout)));
    Ok(())
}

async fn unknown_method(to: &str) -> Checked {
    let call = Call::new(Method::Other("bad\nmethod".to_owned()), to, "/");
    holds!(call.send().await, Err(Failure::Part("method")));
    Ok(())
}

async fn unsupported_scheme(to: &str) -> Checked {
    let scheme = Scheme::Other("WS".to_owned());
    let call = Call { scheme, ..Call::new(Method::Get, to, "/") };
    holds!(call.send().await, Err(Failure::Code(ErrorCode::HttpProtocolError)));
    Ok(())
}

async fn invalid_port(to: &str) -> Checked {
    holds!(Call::new(Method::Get, to, "/").send().await, Err(_));
    Ok(())
}

async fn invalid_dnsname(to: &str) -> Checked {
    use ErrorCode::{ConnectionRefused, DnsError};
    let told = Call::new(Method::Get, to, "/").send().await;
    holds!(told, Err(Failure::Code(DnsError(_) | ConnectionRefused)));
    Ok(())
}

async fn missing_path_and_query(to: &str) -> Checked {
    let (request, _) = Request::new(Fields::new(), None, no_trailers(), None);
    request.set_method(&Method::Get).expect("a method");
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(to)).expect("an authority");
    // The target is granted, so the failure has another reason.
    match client::send(request).await.map(drop) {
        Err(ErrorCode::HttpRequestDenied) => Err("the host denies the request".to_owned()),
        Err(_) => Ok(()),
        Ok(()) => Err("a request without a path is sent".to_owned()),
    }
}

/// The server there accepts no connection.
async fn timeout(to: &str) -> Checked {
    let call = Call { patience_ms: Some(200), ..Call::new(Method::Get, to, "/get") };
    use ErrorCode::{ConnectionRefused, ConnectionTimeout};
    holds!(call.send().await, Err(Failure::Code(ConnectionTimeout | ConnectionRefused)));
    Ok(())
}
