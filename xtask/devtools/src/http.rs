//! A minimal blocking HTTP/1.1 client with time-outs.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer of a host, or of a plugin through it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header `soloist-host`.
    pub host: Option<String>,
    /// The header `soloist-fencing-token`.
    pub fencing_token: Option<u64>,
    /// The body; bytes that are not UTF-8 are replaced.
    pub body: String,
}

/// A keep-alive connection to one address; requests go one after the other.
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects. Neither this nor any answer may take longer than `timeout`.
    pub fn open(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self { stream, address, buffer: Vec::new() })
    }

    /// Sets another time-out for answers.
    pub fn wait_for(self, timeout: Duration) -> io::Result<Self> {
        self.stream.set_read_timeout(Some(timeout))?;
        Ok(self)
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&self) -> bool {
        let quiet = |looked: io::Result<usize>| matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        let looked = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut [0]));
        let is_quiet = quiet(looked);
        // Bytes that arrive before a request belong to no answer: such a connection is unusable.
        !is_quiet || self.stream.set_nonblocking(false).is_err()
    }

    /// Sends a GET for `path` and reads the answer. The flag says whether the connection
    /// can carry another request.
    pub fn get(&mut self, path: &str) -> io::Result<(Answer, bool)> {
        self.buffer.clear();
        self.send(path)?;
        self.read()
    }

    /// Sends a GET for `path` without waiting for the answer.
    pub fn send(&mut self, path: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        self.stream.write_all(request.as_bytes())
    }

    /// Posts JSON to `path`; `login` is the value of the header `authorization`.
    pub fn post(&mut self, path: &str, login: Option<&str>, body: &str) -> io::Result<Answer> {
        self.buffer.clear();
        let login = login.map(|login| format!("authorization: {login}\r\n")).unwrap_or_default();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{login}content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.write_all(request.as_bytes())?;
        Ok(self.read()?.0)
    }

    fn read(&mut self) -> io::Result<(Answer, bool)> {
        loop {
            if let Some(answer) = parse(&self.buffer, false) {
                return Ok((answer, true));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => {
                    let cut_off = || io::Error::from(io::ErrorKind::UnexpectedEof);
                    return parse(&self.buffer, true).map(|a| (a, false)).ok_or_else(cut_off);
                }
                count => self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// One GET on a connection of its own; none if there was no complete answer in time.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Option<Answer> {
    let (answer, _) = Connection::open(address, timeout).ok()?.get(path).ok()?;
    Some(answer)
}

/// Parses an answer, if it is complete. A body without a length is complete when the connection has
/// `ended`.
fn parse(bytes: &[u8], ended: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?);
    let body = bytes.get(end + 4..)?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let body = match header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.get(..length)?.to_vec(),
        None if header("transfer-encoding").is_some() => chunks(body)?,
        None if ended => body.to_vec(),
        None => return None,
    };
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        host: header("soloist-host"),
        fencing_token: header("soloist-fencing-token")
            .and_then(|fencing_token| fencing_token.parse().ok()),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// Decodes a chunked body, if all of its chunks have arrived.
fn chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(str::from_utf8(bytes.get(..end)?).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        let chunk = bytes.get(end + 2..)?;
        body.extend_from_slice(chunk.get(..length)?);
        bytes = chunk.get(length + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nSoloist-Host: b\r\nsoloist-fencing-token: 17\r\n\
            content-length: 5\r\n\r\n17 3\n";
        for length in 0..text.len() {
            assert!(parse(&text[..length], false).is_none(), "{length}");
        }
        let answer = parse(text, false).unwrap();
        assert_eq!(
            (answer.status, answer.fencing_token, answer.host.as_deref()),
            (200, Some(17), Some("b"))
        );
        assert_eq!(answer.body, "17 3\n");
    }

    #[test]
    fn chunks_are_put_together() {
        let text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
            5\r\nis_le\r\na\r\nader 1\nhas\r\n0\r\n\r\n";
        assert_eq!(parse(text, false).unwrap().body, "is_leader 1\nhas");
        assert!(parse(&text[..text.len() - 5], false).is_none());
    }

    #[test]
    fn a_body_without_a_length_ends_with_its_connection() {
        let text = b"HTTP/1.1 503 no\r\n\r\nwait";
        assert!(parse(text, false).is_none());
        assert_eq!(parse(text, true).unwrap().body, "wait");
    }
}
