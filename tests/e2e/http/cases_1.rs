//! Requests of HTTP/1.0 and 1.1, good and bad: RFC 9110 and RFC 9112.

use super::case::{Case, Then, case};

/// All cases.
pub(super) fn all() -> Vec<Case> {
    [hosts(), targets(), methods(), lines(), lengths(), chunks(), connections(), heads()].concat()
}

/// RFC 9112, section 3.2: the host.
fn hosts() -> Vec<Case> {
    let bad = |name, lines: &str| case(name, format!("GET @/all HTTP/1.1\n{lines}\n"), &[400]);
    vec![
        case("a name", "GET @/all HTTP/1.1\nHost: localhost\n\n", &[200])
            .says(&["host localhost\n"]),
        case("an address", "GET @/all HTTP/1.1\nhost: 127.0.0.1:80\n\n", &[200])
            .says(&["host 127.0.0.1:80\n"]),
        case("an address of IPv6", "GET @/all HTTP/1.1\nhost: [::1]:4000\n\n", &[200])
            .says(&["host [::1]:4000\n"]),
        case("a port that is not said", "GET @/all HTTP/1.1\nhost: localhost:\n\n", &[200]),
        case("in capitals", "GET @/all HTTP/1.1\nHOST: LOCALHOST\n\n", &[200]),
        bad("no host", ""),
        bad("no host, but other headers", "accept: */*\nx: y\n"),
        bad("an empty host", "host:\n"),
        bad("only a port", "host: :80\n"),
        bad("two hosts", "host: localhost\nhost: example.com\n"),
        bad("the same host twice", "host: localhost\nhost: localhost\n"),
        bad("two hosts, far apart", "host: localhost\nx: y\nHOST: localhost\n"),
        bad("two hosts in one", "host: localhost, example.com\n"),
        bad("a host with a user", "host: u@localhost\n"),
        bad("a host with a user and a password", "host: u:p@localhost\n"),
        bad("a host with a path", "host: localhost/x\n"),
        bad("a host with a query", "host: localhost?x\n"),
        bad("a host with a space", "host: local host\n"),
        bad("a URL for a host", "host: http://localhost/\n"),
        bad("a port that is none", "host: localhost:http\n"),
        bad("a port that is too large", "host: localhost:65536\n"),
        bad("two ports", "host: localhost:80:80\n"),
        bad("half an address", "host: [::1\n"),
        bad("what is no ASCII", "host: l\u{f6}calhost\n"),
        case("HTTP/1.0 need not say it", "GET @/all HTTP/1.0\n\n", &[200]).then(Then::Ends),
        case("HTTP/1.0 may say it", "GET @/all HTTP/1.0\nhost: localhost\n\n", &[200])
            .says(&["host localhost\n"])
            .then(Then::Ends),
        case(
            "HTTP/1.0 may not say it twice",
            "GET @/all HTTP/1.0\nhost: localhost\nhost: localhost\n\n",
            &[400],
        ),
        case("HTTP/1.0 may not say nonsense", "GET @/all HTTP/1.0\nhost: u@localhost\n\n", &[400]),
        case("HAProxy's default check", "OPTIONS @/ HTTP/1.0\n\n", &[200]).then(Then::Ends),
    ]
}

/// RFC 9112, sections 3.2 and 3.3: the request target.
fn targets() -> Vec<Case> {
    let ask = |target: &str| format!("GET {target} HTTP/1.1\nhost: localhost\n\n");
    vec![
        case("a path and a query", ask("@/all?x=1&y=%20"), &[200]).says(&["GET /all?x=1&y=%20\n"]),
        case("an empty query", ask("@/all?"), &[200]),
        case("a path with two slashes", ask("@//all"), &[200]).says(&["GET //all\n"]),
        case("a path with dots", ask("@/all/../x/./"), &[200]).says(&["GET /all/../x/./\n"]),
        case("an encoded slash", ask("@/all%2fx"), &[200]).says(&["GET /all%2fx\n"]),
        case("an encoded zero", ask("@/all%00"), &[200]),
        case("a query with a question", ask("@/all?a?b"), &[200]).says(&["GET /all?a?b\n"]),
        case("a colon in the path", ask("@/all:80"), &[200]).says(&["GET /all:80\n"]),
        case("a whole URL", ask("http://127.0.0.1:80@/all?x"), &[200])
            .says(&["GET /all?x\n", "host 127.0.0.1:80\n"]),
        case("a whole URL of TLS's", ask("https://localhost@/all"), &[200]).says(&["GET /all\n"]),
        case("a URL in capitals", ask("HTTP://LOCALHOST@/all"), &[200]),
        case("a whole URL, but no host", "GET http://localhost@/all HTTP/1.1\n\n", &[400]),
        case(
            "a whole URL, and two hosts",
            "GET http://localhost@/all HTTP/1.1\nhost: a\nhost: b\n\n",
            &[400],
        ),
        case("a whole URL, by HTTP/1.0", "GET http://localhost@/all HTTP/1.0\n\n", &[200])
            .says(&["host localhost\n"])
            .then(Then::Ends),
        case("a URL with a user", ask("http://u@localhost@/all"), &[400]),
        case("a URL of another kind", ask("ftp://localhost@/all"), &[400]),
        case("a URL without a host", ask("http://@/all"), &[400]),
        case("a host and no path", ask("localhost:80"), &[400]),
        case("a path without its slash", ask("all"), &[400]),
        case("a path in the middle", ask("x/all"), &[400]),
        case("an asterisk for no OPTIONS", ask("*"), &[400]),
        case("an asterisk", "OPTIONS * HTTP/1.1\nhost: localhost\n\n", &[204]),
        case("an asterisk, by HTTP/1.0", "OPTIONS * HTTP/1.0\n\n", &[204]).then(Then::Ends),
        case("an asterisk, but no host", "OPTIONS * HTTP/1.1\n\n", &[400]),
        case("a space in the target", "GET @/all x HTTP/1.1\nhost: localhost\n\n", &[400]),
        case("no target", "GET HTTP/1.1\nhost: localhost\n\n", &[400]),
        case("a control character", ask("@/all\u{1}"), &[400]),
        case("a long target", ask(&format!("@/all?{}", "x".repeat(32_000))), &[200]),
        case("one that is too long", ask(&format!("@/all?{}", "x".repeat(33_000))), &[414]),
        case("one that is much too long", ask(&format!("@/all?{}", "x".repeat(65_500))), &[414]),
        case(
            "a long target with many words",
            ask(&format!("@/all?{}", "x=1&".repeat(7_900))),
            &[200],
        ),
    ]
}

/// RFC 9110, section 9: methods.
fn methods() -> Vec<Case> {
    let ask = |method: &str| format!("{method} @/all HTTP/1.1\nhost: localhost\n\n");
    vec![
        case("GET", ask("GET"), &[200]).says(&["GET /all\n"]),
        case("HEAD", ask("HEAD"), &[200]),
        case("DELETE", ask("DELETE"), &[200]).says(&["DELETE /all\n"]),
        case("OPTIONS", ask("OPTIONS"), &[200]).says(&["OPTIONS /all\n"]),
        case("TRACE", ask("TRACE"), &[200]).says(&["TRACE /all\n"]),
        case("PATCH", ask("PATCH"), &[200]).says(&["PATCH /all\n"]),
        case("one of WebDAV's", ask("PROPFIND"), &[200]).says(&["PROPFIND /all\n"]),
        case("one in small letters is another", ask("get"), &[200]).says(&["get /all\n"]),
        case("one with a mark", ask("M-SEARCH"), &[200]).says(&["M-SEARCH /all\n"]),
        case("one that is no word", ask("G<T"), &[400]),
        case("none", ask(""), &[400]),
        case("CONNECT", "CONNECT localhost:80 HTTP/1.1\nhost: localhost:80\n\n", &[501]),
        case("CONNECT, but no host", "CONNECT localhost:80 HTTP/1.1\n\n", &[400]),
        case(
            "GET with a body",
            "GET @/all HTTP/1.1\nhost: localhost\ncontent-length: 5\n\nhello",
            &[200],
        )
        .says(&["body hello\n"]),
    ]
}

/// RFC 9112, sections 2.2, 2.3, 5.1 and 5.2: the syntax of lines.
fn lines() -> Vec<Case> {
    let with = |lines: &str| format!("GET @/all HTTP/1.1\nhost: localhost\n{lines}\n");
    vec![
        case("an empty line before", "\nGET @/all HTTP/1.1\nhost: localhost\n\n", &[200]),
        case("half an end of line", "GET @/all HTTP/1.1␊host: localhost␊␊", &[200]),
        case("the other half", "GET @/all HTTP/1.1\nhost: localhost\nx: 1␍y: 2\n\n", &[400]),
        case("space around a value", with("x-a: \t b \t\n"), &[200]).says(&["x-a: b\n"]),
        case("no value", with("x-a:\n"), &[200]).says(&["x-a: \n"]),
        case("a value of two lines", with("x-a: b\n c\n"), &[400]),
        case("a value of two lines by a tab", with("x-a: b\n\tc\n"), &[400]),
        case(
            "a first header with a space",
            "GET @/all HTTP/1.1\n x: y\nhost: localhost\n\n",
            &[400],
        ),
        case("a space before the colon", with("x-a : b\n"), &[400]),
        case("a tab before the colon", with("x-a\t: b\n"), &[400]),
        case(
            "a space before the colon of host",
            "GET @/all HTTP/1.1\nhost : localhost\n\n",
            &[400],
        ),
        case("a name with a space", with("x a: b\n"), &[400]),
        case("no name", with(": b\n"), &[400]),
        case("no colon", with("x-a\n"), &[400]),
        case("a name that is no word", with("x(a): b\n"), &[400]),
        case("a zero in a value", with("x-a: b\0c\n"), &[400]),
        case("a value that is no ASCII", with("x-a: \u{fc}\n"), &[200]),
        case("one name on two lines", with("x-a: 1\nx-a: 2\n"), &[200])
            .says(&["x-a: 1\n", "x-a: 2\n"]),
        case("HTTP/0.9", "GET @/all\n\n", &[400]),
        case("HTTP/1.2", "GET @/all HTTP/1.2\nhost: localhost\n\n", &[400]),
        case("HTTP/3.0", "GET @/all HTTP/3.0\nhost: localhost\n\n", &[400]),
        case("another protocol", "GET @/all ICAP/1.0\nhost: localhost\n\n", &[400]),
        case("http in small letters", "GET @/all http/1.1\nhost: localhost\n\n", &[400]),
        case("no version", "GET @/all \nhost: localhost\n\n", &[400]),
        case("nonsense", "\u{16}\u{3}\u{1}nonsense\n\n", &[400]),
    ]
}

/// RFC 9112, section 6: the length of a body.
fn lengths() -> Vec<Case> {
    let post = |lines: &str| format!("POST @/all HTTP/1.1\nhost: localhost\n{lines}");
    let bad = |name, lines: &str| case(name, post(lines), &[400]).then(Then::Ends);
    vec![
        case("a length", post("content-length: 5\n\nhello"), &[200])
            .says(&["POST /all\n", "body hello\n"]),
        case("a length of nothing", post("content-length: 0\n\n"), &[200]).says(&["body \n"]),
        case("a length with zeros before it", post("content-length: 005\n\nhello"), &[200]),
        case("no length", post("\n"), &[200]).says(&["body \n"]),
        case(
            "the same length twice",
            post("content-length: 5\ncontent-length: 5\n\nhello"),
            &[200],
        ),
        bad("two lengths", "content-length: 5\ncontent-length: 6\n\nhello"),
        bad("two lengths in one", "content-length: 5, 6\n\nhello"),
        bad("a length below nothing", "content-length: -5\n\nhello"),
        bad("a length with a sign", "content-length: +5\n\nhello"),
        bad("a length that is no number", "content-length: five\n\nhello"),
        bad("a length in sixteens", "content-length: 0x5\n\nhello"),
        bad("a length with a point", "content-length: 5.0\n\nhello"),
        bad("an empty length", "content-length:\n\nhello"),
        bad("a length beyond all numbers", "content-length: 99999999999999999999999\n\nhello"),
        case("a body that is too large, as it says", post("content-length: 65537\n\n"), &[413])
            .then(Then::Ends),
        case(
            "the largest body",
            post(&format!("content-length: 65536\n\n{}", "x".repeat(65_536))),
            &[200],
        ),
        case(
            "one that is too large",
            post(&format!("content-length: 100000\n\n{}", "x".repeat(100_000))),
            &[413],
        )
        .then(Then::Ends),
        case(
            "one that is much too large",
            post(&format!("content-length: 3000000\n\n{}", "x".repeat(3_000_000))),
            &[413],
        )
        .then(Then::Ends),
        case("one that breaks off", post("content-length: 10\n\nhello"), &[400]).half_closing(),
        case(
            "both of length and chunks",
            post("content-length: 3\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n"),
            &[200],
        )
        .says(&["body hello\n"])
        .then(Then::Ends),
        case(
            "both, the other way",
            post("transfer-encoding: chunked\ncontent-length: 3\n\n5\nhello\n0\n\n"),
            &[200],
        )
        .says(&["body hello\n"])
        .then(Then::Ends),
        case(
            "chunks by HTTP/1.0",
            "POST @/all HTTP/1.0\nhost: localhost\ntransfer-encoding: chunked\n\n0\n\n",
            &[400],
        ),
        case("a length by HTTP/1.0", "POST @/all HTTP/1.0\ncontent-length: 5\n\nhello", &[200])
            .says(&["body hello\n"])
            .then(Then::Ends),
        case(
            "a coding that nobody knows",
            post("transfer-encoding: gzip, chunked\n\n0\n\n"),
            &[501],
        ),
        case(
            "a coding that nobody knows, on two lines",
            post("transfer-encoding: gzip\ntransfer-encoding: chunked\n\n0\n\n"),
            &[501],
        ),
        bad("chunks that are not the last coding", "transfer-encoding: chunked, gzip\n\n0\n\n"),
        bad("another coding alone", "transfer-encoding: gzip\n\n0\n\n"),
        bad("no coding", "transfer-encoding: identity\n\n0\n\n"),
        bad("chunks in chunks", "transfer-encoding: chunked, chunked\n\n0\n\n"),
        bad("chunks that are misspelt", "transfer-encoding: xchunked\n\n0\n\n"),
        case("chunks in capitals", post("transfer-encoding: CHUNKED\n\n5\nhello\n0\n\n"), &[200]),
    ]
}

/// RFC 9112, section 7.1: chunked bodies.
fn chunks() -> Vec<Case> {
    let post = |chunks: &str| {
        format!("POST @/all HTTP/1.1\nhost: localhost\ntransfer-encoding: chunked\n\n{chunks}")
    };
    let bad = |name, chunks: &str| case(name, post(chunks), &[400]).then(Then::Ends);
    let many = format!("{:x}\n{}\n", 70_000, "x".repeat(70_000));
    let (large, larger) = (format!("{many}0\n\n"), format!("{}0\n\n", many.repeat(40)));
    vec![
        case("one chunk", post("5\nhello\n0\n\n"), &[200]).says(&["body hello\n"]),
        case("three chunks", post("2\nhe\n2\nll\n1\no\n0\n\n"), &[200]).says(&["body hello\n"]),
        case("no chunk", post("0\n\n"), &[200]).says(&["body \n"]),
        case("zeros before a size", post("0005\nhello\n000\n\n"), &[200]).says(&["body hello\n"]),
        case("a size in capitals", post("A\n0123456789\n0\n\n"), &[200])
            .says(&["body 0123456789\n"]),
        case("an extension", post("5;x=y\nhello\n0;z\n\n"), &[200]).says(&["body hello\n"]),
        case("an extension in quotes", post("5;x=\"a b\"\nhello\n0\n\n"), &[200])
            .says(&["body hello\n"]),
        case("a space after a size", post("5 \nhello\n0\n\n"), &[200]),
        bad("half an end of line in an extension", "5;x␊hello\n0\n\n"),
        bad("half an end of line after a size", "5␊hello\n0\n\n"),
        bad("a size that is none", "hello\nhello\n0\n\n"),
        bad("an empty size", "\nhello\n0\n\n"),
        bad("a size below nothing", "-5\nhello\n0\n\n"),
        bad("a size with a sign", "+5\nhello\n0\n\n"),
        bad("a size as programs write it", "0x5\nhello\n0\n\n"),
        bad("a size with a space in it", "5 5\nhello\n0\n\n"),
        bad("a size beyond all numbers", "fffffffffffffffff\nhello\n0\n\n"),
        bad("a chunk that is longer than it says", "4\nhello\n0\n\n"),
        bad("a chunk that is shorter than it says", "7\nhello\n0\n\n"),
        case("chunks that break off", post("5\nhello\n"), &[400]).half_closing(),
        bad("extensions without end", &format!("5;{}\nhello\n0\n\n", "x".repeat(20_000))),
        case("chunks that are too large", post(&large), &[413]),
        case("chunks that are too large, and go on", post(&larger), &[413]).then(Then::Ends),
        case("trailers", post("5\nhello\n0\nx-sum: 1\nx-more: 2\n\n"), &[200]).says(&[
            "body hello\n",
            "trailer x-sum: 1\n",
            "trailer x-more: 2\n",
        ]),
        bad("a trailer that is none", "5\nhello\n0\nx sum 1\n\n"),
        bad("a trailer with a space before its colon", "5\nhello\n0\nx-sum : 1\n\n"),
        bad("trailers without end", &format!("0\nx: {}\n\n", "x".repeat(20_000))),
    ]
}

/// RFC 9110, sections 7.6.1, 7.8 and 10.1.1, and RFC 9112, section 9: connections.
fn connections() -> Vec<Case> {
    let with = |lines: &str| format!("GET @/all HTTP/1.1\nhost: localhost\n{lines}\n");
    let two = with("").repeat(2);
    vec![
        case("it goes on", with("connection: keep-alive\n"), &[200]).hides(&["connection"]),
        case("it ends", with("connection: close\n"), &[200]).then(Then::Ends).hides(&["connection"]),
        case("it ends, in capitals", with("Connection: Close\n"), &[200]).then(Then::Ends),
        case("it ends, among others", with("connection: x, close\n"), &[200]).then(Then::Ends),
        case("HTTP/1.0 goes on if it says so", "GET @/all HTTP/1.0\nhost: localhost\nconnection: keep-alive\n\n", &[200]),
        case("one after the other", two.clone(), &[200, 200]),
        case("many, one after the other", two.repeat(4), &[200; 8]),
        case("one with a body, and one after it", format!("POST @/all HTTP/1.1\nhost: localhost\ncontent-length: 5\n\nhello{}", with("")), &[200, 200]),
        case("one with chunks, and one after it", format!("POST @/all HTTP/1.1\nhost: localhost\ntransfer-encoding: chunked\n\n5\nhello\n0\n\n{}", with("")), &[200, 200]),
        case("a bad one after a good one", format!("{}GET @/all HTTP/1.1\n\n", with("")), &[200, 400]),
        case("nothing after a bad one", format!("GET @/all HTTP/1.1\n\n{}", with("")), &[400]).then(Then::Ends),
        case("nothing after the last one", format!("{}{}", with("connection: close\n"), with("")), &[200]).then(Then::Ends),
        case("one that has said all", with(""), &[200]).half_closing(),
        case("one with a body that has said all", "POST @/all HTTP/1.1\nhost: localhost\ncontent-length: 5\n\nhello", &[200]).half_closing(),
        case("two that have said all", two, &[200, 200]).half_closing(),
        case("what is named goes no further", with("connection: x-a\nx-a: 1\nx-b: 2\n"), &[200])
            .says(&["x-b: 2\n"])
            .hides(&["x-a"]),
        case("what concerns the connection goes no further", with("keep-alive: 5\nproxy-connection: x\nte: gzip\n"), &[200])
            .hides(&["keep-alive", "proxy-connection", "te:"]),
        case("where it came from", with(""), &[200]).says(&[
            "x-forwarded-for: 127.0.0.1\n",
            "x-forwarded-host: localhost\n",
            "x-forwarded-proto: http\n",
            "forwarded: for=127.0.0.1;proto=http;host=\"localhost\"\n",
        ]),
        case("where it says that it came from", with("x-forwarded-for: 9.9.9.9\nforwarded: for=9.9.9.9\nx-real-ip: 9.9.9.9\n"), &[200])
            .says(&["x-forwarded-for: 127.0.0.1\n"])
            .hides(&["9.9.9.9"]),
        case("what hosts say is said by hosts", with("soloist-fencing-token: 9\nsoloist-x: y\n"), &[200]).hides(&["soloist-"]),
        case("an upgrade that is only offered", with("upgrade: websocket\n"), &[200]).hides(&["upgrade"]),
        case("an upgrade to HTTP/2", with("connection: upgrade, http2-settings\nupgrade: h2c\nhttp2-settings: AAMAAABk\n"), &[200])
            .hides(&["upgrade", "http2-settings"]),
        case("an upgrade by HTTP/1.0", "GET @/all HTTP/1.0\nhost: localhost\nconnection: upgrade\nupgrade: websocket\n\n", &[200]).then(Then::Ends),
        case("an upgrade", with("connection: upgrade\nupgrade: websocket\n"), &[501]),
        case("an upgrade to one of two", with("connection: keep-alive, Upgrade\nupgrade: h2c, websocket\n"), &[501]),
        case("a body that waits to be asked for", "POST @/all HTTP/1.1\nhost: localhost\nexpect: 100-continue\ncontent-length: 5\n\nhello", &[100, 200])
            .says(&["body hello\n"])
            .hides(&["expect"]),
        case("no body that waits", with("expect: 100-continue\n"), &[200]),
        case("a body that waits, by HTTP/1.0", "POST @/all HTTP/1.0\nhost: localhost\nexpect: 100-continue\ncontent-length: 5\n\nhello", &[200]).then(Then::Ends),
        case("a body that waits and is too large", "POST @/all HTTP/1.1\nhost: localhost\nexpect: 100-continue\ncontent-length: 100000\n\n", &[413]).then(Then::Ends),
        case("an expectation that nobody knows", with("expect: a-miracle\n"), &[417]),
    ]
}

/// The maximum size of a head.
fn heads() -> Vec<Case> {
    let with = |lines: &str| format!("GET @/all HTTP/1.1\nhost: localhost\n{lines}\n");
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: {n}\n")).collect::<String>();
    vec![
        case("ninety headers", with(&many(90)), &[200]).says(&["x-89: 89\n"]),
        case("a hundred and twenty headers", with(&many(120)), &[431]),
        case("three hundred headers", with(&many(300)), &[431]),
        case("a long header", with(&format!("x-a: {}\n", "x".repeat(20_000))), &[200]),
        case("one that is too long", with(&format!("x-a: {}\n", "x".repeat(30_000))), &[431]),
        case("one that is much too long", with(&format!("x-a: {}\n", "x".repeat(100_000))), &[431]),
        case(
            "a long name of a host",
            format!("GET @/all HTTP/1.1\nhost: {}\n\n", "x".repeat(300)),
            &[400],
        ),
    ]
}
