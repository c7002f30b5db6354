//! Takes an address apart: login, hosts, database, and the words behind the question mark.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

use super::{
    DEFAULT_SCHEMA, PostgresHost, PostgresUrl,
    words::{self, Words, decode},
};
use crate::problem::Problem;

pub(super) const PORT: u16 = 5432;

/// Parses what follows `postgres://`.
pub(crate) fn parse(rest: &str) -> Result<PostgresUrl, Problem> {
    let (address, words) = rest.split_once('?').unwrap_or((rest, ""));
    // A password that is not encoded must not be taken for something else, and be shown.
    if words.contains('@') && !address.contains('@') {
        return Err(bad_login());
    }
    let (login, place) = match address.rsplit_once('@') {
        Some((login, place)) => (read_login(login)?, place),
        None => ((None, None), address),
    };
    let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
    let words = words::read(words)?;
    let hosts = read_hosts(hosts, &words)?;
    let local = hosts.iter().all(PostgresHost::is_here);
    let database = Some(decode("the database's name", database)?).filter(|name| !name.is_empty());
    Ok(PostgresUrl {
        hosts,
        user: login.0,
        password: login.1,
        database,
        tls: words.tls(local)?,
        options: words.options,
        passfile: words.passfile,
        connect_timeout: words.connect_timeout,
        application_name: words.application_name,
        schema: words.schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned()),
    })
}

fn read_login(login: &str) -> Result<(Option<String>, Option<String>), Problem> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    if user.is_empty() || password == Some("") || login.contains(['@', '/', '?']) {
        return Err(bad_login());
    }
    let read = |text: &str| {
        percent_decode_str(text).decode_utf8().map(|it| it.into_owned()).map_err(|_| bad_login())
    };
    Ok((Some(read(user)?), password.map(read).transpose()?))
}

fn bad_login() -> Problem {
    Problem::new(
        "the login of the store cannot be read",
        "write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with `:` `@` `/` `?` `%` in user \
         and password as %3A %40 %2F %3F %25",
    )
}

/// The hosts in front of the database's name, or those that the word `host` names.
fn read_hosts(text: &str, words: &Words) -> Result<Vec<PostgresHost>, Problem> {
    let hosts = match (text, &words.host) {
        ("", Some(host)) => host.as_str(),
        ("", None) => {
            return Err(Problem::new(
                "the address names no server",
                "write `postgres://HOST:PORT/DATABASE`, or for a socket of this machine \
                 `postgres:///DATABASE?host=/var/run/postgresql`",
            ));
        }
        (_, Some(_)) => {
            return Err(Problem::new(
                "the servers are named twice, before the database and by `host`",
                "leave out `host`",
            ));
        }
        (hosts, None) => hosts,
    };
    let hosts = hosts.split(',').map(|text| read_host(text, words.port));
    let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
    let twice = |at: &usize| hosts[..*at].contains(&hosts[*at]);
    match (0..hosts.len()).find(twice).map(|at| &hosts[at]) {
        None => Ok(hosts),
        Some(twice) => Err(Problem::new(
            format!("`{twice}` is named twice, and each server has an address of its own"),
            "write the address of another server in place of one of the two, or drop it",
        )),
    }
}

fn read_host(text: &str, default_port: Option<u16>) -> Result<PostgresHost, Problem> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().ok().filter(|port| *port > 0).ok_or_else(|| bad_host(text))?)
        }
        _ => (text, default_port.unwrap_or(PORT)),
    };
    let host = decode("a server's name", host)?;
    if host.starts_with('/') {
        return Ok(PostgresHost::Socket { folder: host.into(), port });
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match bracketed {
        Some(address) if address.parse::<Ipv6Addr>().is_ok() => {
            Ok(PostgresHost::Tcp { host: address.to_owned(), port })
        }
        None if !host.is_empty() && host.chars().all(is_plain) => {
            Ok(PostgresHost::Tcp { host, port })
        }
        _ => Err(bad_host(text)),
    }
}

fn bad_host(text: &str) -> Problem {
    Problem::new(
        format!("`{text}` is not the address of a PostgreSQL server"),
        "write HOST or HOST:PORT, as in `postgres://10.0.0.1:5432,10.0.0.2:5432/soloist`",
    )
}
