//! HTTP/2 frame by frame (RFC 9113), for clients that break the rules.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// The default maximum size of a frame (section 6.5.2).
const FRAME: usize = 16 << 10;

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// An answer with this status.
    Status(u16),
    /// The stream or the connection was ended with this error code (section 7).
    Error(u32),
}

/// An HTTP/2 connection with one stream.
pub(super) struct Frames(TcpStream);

impl Frames {
    pub(super) async fn with(to: std::net::SocketAddr) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(PREFACE).await?;
        let mut frames = Self(stream);
        frames.send(SETTINGS, 0, 0, &[]).await?;
        Ok(frames)
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, load: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(load.len()).expect("a small frame").to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(load);
        self.0.write_all(&frame).await
    }

    /// Sends headers; `last` says that nothing follows on the stream.
    pub(super) async fn headers(
        &mut self,
        headers: &[(String, String)],
        last: bool,
    ) -> std::io::Result<()> {
        let block: Vec<u8> = headers.iter().flat_map(|(name, value)| field(name, value)).collect();
        let pieces: Vec<_> = block.chunks(FRAME).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let end = if at + 1 == pieces.len() { END_HEADERS } else { 0 };
            let (kind, flags) = match at {
                0 => (HEADERS, end | if last { END_STREAM } else { 0 }),
                _ => (CONTINUATION, end),
            };
            self.send(kind, flags, 1, piece).await?;
        }
        Ok(())
    }

    /// Sends a piece of the body; `last` says that nothing follows.
    pub(super) async fn data(&mut self, data: &[u8], last: bool) -> std::io::Result<()> {
        self.send(DATA, if last { END_STREAM } else { 0 }, 1, data).await
    }

    /// The outcome, and the received part of the answer's body.
    pub(super) async fn outcome(&mut self) -> std::io::Result<(Came, String)> {
        let (mut came, mut body) = (None, String::new());
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut load = vec![0; length];
            self.0.read_exact(&mut load).await?;
            let (kind, flags) = (head[3], head[4]);
            let code = |at: usize| {
                let code = load.get(at..at + 4).and_then(|code| code.try_into().ok());
                Came::Error(u32::from_be_bytes(code.unwrap_or_default()))
            };
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await?,
                // Later headers are trailers.
                HEADERS => came = came.or(status(&load).map(Came::Status)),
                DATA => body += &String::from_utf8_lossy(&load),
                // A server that has answered may cancel the rest of the request.
                RST_STREAM => return Ok((came.unwrap_or(code(0)), body)),
                GOAWAY if came.is_none() => return Ok((code(4), body)),
                _ => {}
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return Ok((came.expect("headers"), body));
            }
        }
    }
}

/// A header field without indexing (RFC 7541, section 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        length(text.len(), &mut field);
        field.extend(text.as_bytes());
    }
    field
}

/// An integer with a prefix of seven bits (RFC 7541, section 5.1).
fn length(mut length: usize, to: &mut Vec<u8>) {
    if length < 127 {
        to.push(u8::try_from(length).expect("seven bits"));
        return;
    }
    to.push(127);
    length -= 127;
    while length >= 128 {
        to.push(u8::try_from(length % 128).expect("seven bits") | 128);
        length /= 128;
    }
    to.push(u8::try_from(length).expect("seven bits"));
}

/// The status, which is the first header (RFC 7541, appendices A and B): an entry of the static
/// table, or three digits, with or without Huffman coding.
fn status(block: &[u8]) -> Option<u16> {
    // The block may begin with an update of the table's size.
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20)?;
    let block = &block[start..];
    let listed = [200, 204, 206, 304, 400, 404, 500];
    let first = *block.first()?;
    if let Some(at) = first.checked_sub(0x88).filter(|at| usize::from(*at) < listed.len()) {
        return Some(listed[usize::from(at)]);
    }
    let length = *block.get(1)?;
    let value = block.get(2..2 + usize::from(length & 127))?;
    if length & 128 == 0 {
        return std::str::from_utf8(value).ok()?.parse().ok();
    }
    let mut bits =
        value.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut status = 0;
    for _ in 0..3 {
        let mut code = 0;
        for _ in 0..5 {
            code = code << 1 | bits.next()?;
        }
        // The codes of 0, 1 and 2 have five bits, those of other digits six.
        let digit = if code < 3 { code } else { (code << 1 | bits.next()?) - 0x19 + 3 };
        status = status * 10 + digit;
    }
    Some(status)
}
