//! Parses the texts of settings; each error says what to do about it.

use std::net::SocketAddr;

use super::problem::Problem;

/// The greatest length of a name. Names become part of keys in the store and of log lines.
const LONGEST_NAME: usize = 64;

/// Parses a name of a host, a group or an action.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    if !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(is_name_char) {
        return Ok(text.to_owned());
    }
    let rule = format!(
        "a name has 1 to {LONGEST_NAME} characters out of letters, digits, `-`, `_` and `.`"
    );
    Err(Problem::new(format!("`{text}` is not a name"), rule))
}

/// Whether `text` can be the name of a host, a group or an action.
///
/// # Errors
/// Says why not, and which names are allowed.
pub fn check_name(text: &str) -> Result<(), String> {
    name(text).map(drop).map_err(|problem| problem.one_line())
}

/// Parses a cluster name. It is in lower case, so that `Demo` and `demo` are not two clusters.
pub(super) fn cluster(text: &str) -> Result<String, Problem> {
    let name = name(text)?;
    if name.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(Problem::new(
            format!("`{text}` is not the name of a cluster: it is not in lower case"),
            format!("write `{}`", text.to_ascii_lowercase()),
        ));
    }
    Ok(name)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Parses an address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, Problem> {
    text.parse().map_err(|_| {
        let help = match text.rsplit_once(':') {
            Some(("localhost", port)) if is_port(port) => format!("write `127.0.0.1:{port}`"),
            Some(("" | "*", port)) if is_port(port) => any_or_own(port),
            None if is_port(text) => any_or_own(text),
            None if text.parse::<std::net::Ipv4Addr>().is_ok() => {
                format!("add the port, as in `{text}:4000`")
            }
            _ => "write IP:PORT, as in `127.0.0.1:4000` or `[::1]:4000`".to_owned(),
        };
        Problem::new(format!("`{text}` is not an address to listen on"), help)
    })
}

/// Parses the path prefix of an action's requests; the result has no trailing slash.
pub(super) fn mount(text: &str) -> Result<std::sync::Arc<str>, Problem> {
    let path = text.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let steps = || path.split('/').skip(1);
    let named = steps().all(|step| !matches!(step, "" | "." | "..") && step.chars().all(plain));
    if path == "/" || (path.starts_with('/') && named) {
        return Ok(path.into());
    }
    Err(Problem::new(
        format!("`{text}` is not a path to answer under"),
        "write `/`, or a path of letters, digits, `-`, `_`, `.` and `~`, as in `/web`",
    ))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn any_or_own(port: &str) -> String {
    format!("write `127.0.0.1:{port}` for this machine only, or `0.0.0.0:{port}` for all")
}

/// Parses a base URL under which other hosts reach this one.
pub(super) fn url(text: &str) -> Result<String, Problem> {
    let url = text.trim_end_matches('/');
    let is_base = url
        .parse::<http::Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/");
    if is_base && !url.contains(['?', '@']) {
        return Ok(url.to_owned());
    }
    Err(Problem::new(
        format!("`{text}` is not a URL that other hosts can call"),
        "write `http://HOST:PORT`, as in `http://10.0.0.1:4000`",
    ))
}

/// Parses a SHA-256 in hexadecimal.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], Problem> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let plain = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = plain.then(|| (0..32).filter_map(|i| byte(2 * i)).collect::<Vec<_>>());
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        // This may be the fencing token itself, so it is not repeated.
        Problem::new(
            "this is not a SHA-256 digest",
            "write its 64 hexadecimal digits, as `sha256sum` prints them",
        )
    })
}

/// The units of sizes, in bytes.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Parses a number of bytes; `bounded.rs` checks its bounds.
pub(super) fn size(text: &str) -> Result<u64, Problem> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[digits.len()..].trim_start();
    let refused = |help| Problem::new(format!("`{text}` is not a size"), help);
    let Ok(count) = digits.parse::<u64>() else {
        return Err(refused("write a whole number with its unit, as in `256MiB`".to_owned()));
    };
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let meant = unit.chars().next().unwrap_or('M').to_ascii_uppercase();
        let meant = if "KMGT".contains(meant) { meant } else { 'M' };
        return Err(refused(format!("write `{count}{meant}iB`; the units are B, KiB, MiB, GiB")));
    };
    count.checked_mul(*bytes).ok_or_else(|| refused("write a smaller one".to_owned()))
}

/// Formats a size as [`size`] parses it.
pub(super) fn show_size(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_the_mend() {
        let refusals = [
            name("a/b").unwrap_err(),
            name("").unwrap_err(),
            cluster("Demo").unwrap_err(),
            address("localhost:4000").unwrap_err(),
            address(":4000").unwrap_err(),
            address("4000").unwrap_err(),
            address("10.0.0.1").unwrap_err(),
            address("10.0.0.1:99999").unwrap_err(),
            url("10.0.0.1:4000").unwrap_err(),
            url("http://a:4000/x").unwrap_err(),
            size("256").unwrap_err(),
            size("64kb").unwrap_err(),
            size("1.5GiB").unwrap_err(),
            size("99999999999TiB").unwrap_err(),
        ];
        let all: String = refusals.iter().map(ToString::to_string).collect();
        assert_eq!(
            all,
            "\
error: `a/b` is not a name
help: a name has 1 to 64 characters out of letters, digits, `-`, `_` and `.`
error: `` is not a name
help: a name has 1 to 64 characters out of letters, digits, `-`, `_` and `.`
error: `Demo` is not the name of a cluster: it is not in lower case
help: write `demo`
error: `localhost:4000` is not an address to listen on
help: write `127.0.0.1:4000`
error: `:4000` is not an address to listen on
help: write `127.0.0.1:4000` for this machine only, or `0.0.0.0:4000` for all
error: `4000` is not an address to listen on
help: write `127.0.0.1:4000` for this machine only, or `0.0.0.0:4000` for all
error: `10.0.0.1` is not an address to listen on
help: add the port, as in `10.0.0.1:4000`
error: `10.0.0.1:99999` is not an address to listen on
help: write IP:PORT, as in `127.0.0.1:4000` or `[::1]:4000`
error: `10.0.0.1:4000` is not a URL that other hosts can call
help: write `http://HOST:PORT`, as in `http://10.0.0.1:4000`
error: `http://a:4000/x` is not a URL that other hosts can call
help: write `http://HOST:PORT`, as in `http://10.0.0.1:4000`
error: `256` is not a size
help: write `256MiB`; the units are B, KiB, MiB, GiB
error: `64kb` is not a size
help: write `64KiB`; the units are B, KiB, MiB, GiB
error: `1.5GiB` is not a size
help: write a whole number with its unit, as in `256MiB`
error: `99999999999TiB` is not a size
help: write a smaller one
"
        );
    }

    #[test]
    fn reads_what_is_right() {
        assert_eq!(name("web-1_a.b").unwrap(), "web-1_a.b");
        assert_eq!(address("[::1]:0").unwrap().port(), 0);
        assert_eq!(url("http://a:4000/").unwrap(), "http://a:4000");
        assert_eq!((size("64KiB").unwrap(), size("0B").unwrap()), (65_536, 0));
        for text in ["0B", "1023B", "64KiB", "1GiB"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
    }
}
