//! Applies `store_tls`, of the settings file and the flags, to `store`.

use std::path::PathBuf;

use super::{
    Overrides, StoreTls, StoreUrl, TlsFiles,
    problem::Problem,
    resolver::{Resolver, Setting},
    settings_file::StoreTlsTable,
};

/// `store` with the TLS settings of `table` and the flags; `None` after reporting what is wrong.
pub(super) fn read(
    resolver: &mut Resolver<'_>,
    table: StoreTlsTable,
    overrides: &Overrides,
    store: StoreUrl,
) -> Option<StoreUrl> {
    let files = [
        resolver.flag_or_written("store-ca", &overrides.store_ca, table.ca, ""),
        resolver.flag_or_written("store-cert", &overrides.store_cert, table.cert, ""),
        resolver.flag_or_written("store-key", &overrides.store_key, table.key, ""),
    ];
    let Some(first) = files.iter().find(|file| is_given(file)) else { return Some(store) };
    let (endpoints, login) = match store {
        StoreUrl::Etcd { endpoints, login, tls: Some(_) } => (endpoints, login),
        plain if overrides.tls_if_used => return Some(plain),
        plain => {
            resolver.report(useless(&plain).at(first.place.clone()));
            return None;
        }
    };
    let [ca, cert, key] = files;
    let own = match (is_given(&cert), is_given(&key)) {
        (true, true) => {
            let (cert, key) = (path(resolver, &cert), path(resolver, &key));
            Some(TlsFiles { cert, key }.into())
        }
        (false, false) => None,
        (true, false) => {
            let problem = alone("certificate", "key", "`key` in `store_tls`, or --store-key");
            resolver.report(problem.at(cert.place));
            return None;
        }
        (false, true) => {
            let problem = alone("key", "certificate", "`cert` in `store_tls`, or --store-cert");
            resolver.report(problem.at(key.place));
            return None;
        }
    };
    let tls = StoreTls { ca: is_given(&ca).then(|| path(resolver, &ca)), own };
    Some(StoreUrl::Etcd { endpoints, login, tls: Some(tls) })
}

fn path(resolver: &Resolver<'_>, setting: &Setting) -> PathBuf {
    resolver.path(setting, setting.text.as_ref())
}

fn is_given(setting: &Setting) -> bool {
    setting.place.is_some()
}

fn useless(store: &StoreUrl) -> Problem {
    let etcds = "write `store = \"etcds://HOST:PORT\"`, or leave this out";
    let (why, help) = match store {
        StoreUrl::Sqlite(_) => ("the store is a file", etcds),
        StoreUrl::Postgres(_) => (
            "the address of a PostgreSQL says that itself",
            "write it there, as in `postgres://HOST/DATABASE?sslmode=verify-full&sslrootcert=FILE`",
        ),
        StoreUrl::Etcd { .. } => ("`etcd://` is spoken without TLS", etcds),
    };
    Problem::new(format!("this says how the store is reached by TLS, but {why}"), help)
}

fn alone(what: &str, other: &str, help: &str) -> Problem {
    Problem::new(
        format!("the {what} for the store comes without its {other}"),
        format!("name that as well, by {help}; or neither"),
    )
}
