//! An HTTP/1 request as bytes, and the expected answer.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::Way;
use crate::harness::PATIENCE;

/// The expected state of the connection afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It stays open: another request is answered on it.
    GoesOn,
    /// The host closes it.
    Ends,
    /// Both are allowed.
    Either,
}

/// A test case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The bytes to send: `\n` is a complete end of line, `␊` and `␍` are halves of one, and `@/`
    /// is the path of the action.
    ask: String,
    /// The status of each answer.
    status: &'static [u16],
    /// Texts in the body of the last answer.
    says: &'static [&'static str],
    /// Texts that it must not contain.
    hides: &'static [&'static str],
    then: Then,
    /// Whether the client closes its side after the request.
    half_closes: bool,
}

/// A request with one answer. After a good one, the connection stays open.
pub(super) fn case(name: &'static str, ask: impl Into<String>, status: &'static [u16]) -> Case {
    let then =
        if status.last().is_some_and(|last| *last < 400) { Then::GoesOn } else { Then::Either };
    Case { name, ask: ask.into(), status, says: &[], hides: &[], then, half_closes: false }
}

impl Case {
    pub(super) fn says(self, says: &'static [&'static str]) -> Self {
        Self { says, ..self }
    }

    pub(super) fn hides(self, hides: &'static [&'static str]) -> Self {
        Self { hides, ..self }
    }

    pub(super) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    /// The client closes its side of the connection after the request.
    pub(super) fn half_closing(self) -> Self {
        Self { half_closes: true, then: Then::Ends, ..self }
    }

    pub(super) fn half_closes(&self) -> bool {
        self.half_closes
    }

    fn bytes(&self, way: Way) -> Vec<u8> {
        let text = self.ask.replace("@/", &format!("{}/", way.prefix));
        text.replace('\n', "\r\n").replace('␊', "\n").replace('␍', "\r").into_bytes()
    }

    /// Runs the case over one route; an error describes the difference.
    pub(super) async fn try_at(&self, way: Way) -> Result<(), String> {
        let tried = timeout(PATIENCE, self.talk(way)).await;
        tried.map_err(|_| "there is no answer, or no end of it".to_owned())?
    }

    async fn talk(&self, way: Way) -> Result<(), String> {
        let mut talk = Talk::with(way).await?;
        talk.send(&self.bytes(way)).await?;
        if self.half_closes {
            talk.stream.shutdown().await.map_err(|error| error.to_string())?;
        }
        let mut last = Answer::default();
        for status in self.status {
            last = talk.answer(&self.ask).await?;
            if last.status != *status {
                return Err(format!("{} for {status}: {}{}", last.status, last.head, last.body));
            }
        }
        if let Some(missing) = self.says.iter().find(|says| !last.body.contains(**says)) {
            return Err(format!("{missing:?} is missing in {:?}", last.body));
        }
        if let Some(told) = self.hides.iter().find(|hides| last.body.contains(**hides)) {
            return Err(format!("{told:?} is in {:?}", last.body));
        }
        match self.then {
            Then::Either => Ok(()),
            Then::Ends => talk.end().await,
            Then::GoesOn => {
                talk.send(
                    format!("GET {}/all HTTP/1.1\r\nhost: localhost\r\n\r\n", way.prefix)
                        .as_bytes(),
                )
                .await?;
                let next = talk.answer("GET").await?;
                if next.status == 200 {
                    Ok(())
                } else {
                    Err(format!("{} to the next request", next.status))
                }
            }
        }
    }
}

/// A connection for raw HTTP/1.
pub(super) struct Talk {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Talk {
    pub(super) async fn with(way: Way) -> Result<Self, String> {
        let stream = TcpStream::connect(way.to).await.map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends bytes. An error means that the host hung up in the meantime.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| format!("it cannot be sent: {error}"))
    }

    /// The next answer. `ask` is the beginning of its request.
    pub(super) async fn answer(&mut self, ask: &str) -> Result<Answer, String> {
        let end = self.until(|buffer| find(buffer, b"\r\n\r\n")).await?;
        let head = self.take(end + 4);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| format!("no status in {head:?}"))?;
        let body = match framing(&head) {
            _ if ask.starts_with("HEAD") || matches!(status, 100..200 | 204 | 304) => String::new(),
            Framing::Length(length) => {
                self.until(|buffer| (buffer.len() >= length).then_some(length)).await?;
                self.take(length)
            }
            Framing::Chunked => self.chunks().await?,
            Framing::End => {
                while self.more().await? {}
                let all = self.buffer.len();
                self.take(all)
            }
        };
        Ok(Answer { status, head, body })
    }

    /// The content of the chunks, followed by the trailers as they are written.
    async fn chunks(&mut self) -> Result<String, String> {
        let mut body = String::new();
        loop {
            let end = self.until(|buffer| find(buffer, b"\r\n")).await?;
            let size = self.take(end + 2);
            let size =
                usize::from_str_radix(size.trim(), 16).map_err(|_| format!("a size {size:?}"))?;
            if size == 0 {
                loop {
                    let end = self.until(|buffer| find(buffer, b"\r\n")).await?;
                    let line = self.take(end + 2);
                    if line == "\r\n" {
                        return Ok(body);
                    }
                    body += &line;
                }
            }
            self.until(|buffer| (buffer.len() >= size + 2).then_some(size)).await?;
            body += &self.take(size);
            self.take(2);
        }
    }

    /// Waits for a clean end of the connection: without a reset, and without further bytes.
    pub(super) async fn end(&mut self) -> Result<(), String> {
        if self.buffer.is_empty() && !self.more().await? {
            return Ok(());
        }
        Err(format!("more is said: {:?}", String::from_utf8_lossy(&self.buffer)))
    }

    async fn until(&mut self, found: impl Fn(&[u8]) -> Option<usize>) -> Result<usize, String> {
        loop {
            if let Some(found) = found(&self.buffer) {
                return Ok(found);
            }
            if !self.more().await? {
                let rest = String::from_utf8_lossy(&self.buffer).into_owned();
                return Err(format!("it is hung up after {rest:?}"));
            }
        }
    }

    async fn more(&mut self) -> Result<bool, String> {
        let read = self.stream.read_buf(&mut self.buffer).await;
        read.map(|count| count > 0).map_err(|error| format!("it breaks off: {error}"))
    }

    fn take(&mut self, count: usize) -> String {
        let taken: Vec<u8> = self.buffer.drain(..count).collect();
        String::from_utf8_lossy(&taken).into_owned()
    }
}

enum Framing {
    Length(usize),
    Chunked,
    End,
}

fn framing(head: &str) -> Framing {
    let head = head.to_ascii_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    match value("content-length: ").and_then(|length| length.parse().ok()) {
        Some(length) => Framing::Length(length),
        None if value("transfer-encoding: ") == Some("chunked") => Framing::Chunked,
        None => Framing::End,
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|it| it == wanted)
}
