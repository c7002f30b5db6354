//! Addresses of PostgreSQL as people write them, and what they see when one is wrong.

use super::*;

fn read(rest: &str) -> PostgresUrl {
    parse(rest).unwrap_or_else(|problem| panic!("{rest}: {problem}"))
}

fn refusal(rest: &str) -> String {
    parse(rest).unwrap_err().to_string()
}

#[test]
fn every_part_has_its_place() {
    let url = read(
        "me:p%40ss%3A@db1,db2:5433/my%20db?sslmode=verify-ca&sslrootcert=ca.pem&sslcert=c.pem\
         &sslkey=c.key&options=-c%20work_mem%3D1MB&passfile=pass&connect_timeout=3\
         &application_name=soloist-a&target_session_attrs=read-write&schema=elections",
    );
    let tcp = |host: &str, port| PostgresHost::Tcp { host: host.into(), port };
    assert_eq!(url.hosts, [tcp("db1", 5432), tcp("db2", 5433)]);
    assert_eq!(url.user.as_deref(), Some("me"));
    assert_eq!(url.password.as_deref(), Some("p@ss:"));
    assert_eq!(url.database.as_deref(), Some("my db"));
    let own = TlsFiles { cert: "c.pem".into(), key: "c.key".into() };
    let authorities = Some("ca.pem".into());
    let tls = PostgresTls { mode: SslMode::VerifyCa, authorities, own: Some(own.into()) };
    assert_eq!(url.tls, tls);
    assert_eq!(url.options.as_deref(), Some("-c work_mem=1MB"));
    assert_eq!(url.passfile, Some("pass".into()));
    assert_eq!(url.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(url.application_name.as_deref(), Some("soloist-a"));
    assert_eq!(url.schema, "elections");
}

#[test]
fn what_is_left_out_has_a_default() {
    let url = read("db1");
    assert_eq!((&url.user, &url.password, &url.database), (&None, &None, &None));
    assert_eq!(url.schema, "soloist");
    let own = url.with_files(|file| panic!("{file:?}"));
    assert_eq!(own.to_string(), "db1:5432");
}

#[test]
fn sockets_are_named_as_in_libpq() {
    let folder = |text: &str| read(text).hosts;
    let socket = PostgresHost::Socket { folder: "/run/postgresql".into(), port: 5432 };
    assert_eq!(folder("/db?host=/run/postgresql"), std::slice::from_ref(&socket));
    assert_eq!(folder("%2Frun%2Fpostgresql/db"), [socket]);
    let other = PostgresHost::Socket { folder: "/run/postgresql".into(), port: 6432 };
    assert_eq!(folder("me@/db?host=/run/postgresql&port=6432"), [other]);
}

#[test]
fn tls_is_left_out_on_this_machine_alone_unless_it_is_said() {
    for (address, mode) in [
        ("localhost/db", SslMode::Disable),
        ("/db?host=/run/postgresql", SslMode::Disable),
        ("localhost/db?sslrootcert=ca.pem", SslMode::VerifyFull),
        ("db1/db", SslMode::VerifyFull),
        ("localhost,db1/db", SslMode::VerifyFull),
        ("db1/db?sslmode=disable", SslMode::Disable),
        ("db1/db?sslmode=require", SslMode::Require),
        ("db1/db?sslmode=require&sslrootcert=ca.pem", SslMode::VerifyCa),
        ("db1/db?sslrootcert=system", SslMode::VerifyFull),
    ] {
        assert_eq!(read(address).tls.mode, mode, "{address}");
    }
    assert_eq!(read("db1/db?sslrootcert=system").tls.authorities, None);
}

#[test]
fn files_are_completed() {
    let url = read("h/d?sslrootcert=a&sslcert=b&sslkey=/c&passfile=d")
        .with_files(|file| Path::new("/etc").join(file));
    assert_eq!(url.tls.authorities, Some("/etc/a".into()));
    let own = url.tls.own.clone().unwrap();
    assert_eq!((&*own.cert, &*own.key), (Path::new("/etc/b"), Path::new("/c")));
    assert_eq!(url.passfile, Some("/etc/d".into()));
}

#[test]
fn nobody_sees_the_login() {
    let url = read("me:secret@db1/db");
    assert_eq!(format!("{url} {url:?}"), "db1:5432/db PostgresUrl(db1:5432/db)");
}

#[test]
fn a_password_that_is_not_encoded_is_refused_and_not_shown() {
    for address in ["me:s3c/ret@h/db", "me:s3c?ret@h/db", "me:s3c@ret@h/db", "me:%ff@h/db"] {
        let told = refusal(address);
        assert!(told.starts_with("error: the login of the store cannot be read\n"), "{told}");
        assert!(!told.contains("s3c") && !told.contains("ret@"), "{told}");
    }
    refusal(":secret@h/db");
    refusal("me:@h/db");
}

#[test]
fn refuses_with_the_mend() {
    for (address, problem, mend) in [
        ("", "the address names no server", "postgres:///DATABASE?host=/var/run/postgresql"),
        ("h/db?host=/run", "named twice", "leave out `host`"),
        ("a,b:1,a:5432/db", "`a:5432` is named twice", "another server"),
        ("h:x/db", "`h:x` is not the address", "write HOST or HOST:PORT"),
        ("h:0/db", "`h:0` is not the address", "write HOST or HOST:PORT"),
        ("h:1:2/db", "`h:1:2` is not the address", "write HOST or HOST:PORT"),
        ("h/db?sslmod=require", "unknown word `sslmod`", "did you mean `sslmode`?"),
        ("h/db?pool=3", "unknown word `pool`", "known here: application_name"),
        ("h/db?password=x", "`password` has a place of its own", "postgres://USER:PASSWORD@"),
        ("h/db?sslmode=", "`sslmode` says nothing", "leave it out"),
        ("h/db?port=1&port=2", "`port` is said twice", "once"),
        ("h/db?sslmode=prefer", "speaks without TLS as soon as", "`sslmode=verify-full`"),
        ("h/db?sslmode=allow", "speaks without TLS as soon as", "`sslmode=verify-full`"),
        ("h/db?sslmode=verify_full", "there is no", "did you mean `verify-full`?"),
        ("h/db?sslmode=verify-ca", "names no authority", "sslrootcert=FILE"),
        ("h/db?sslmode=require&sslrootcert=system", "lets anybody in", "verify-full"),
        ("h/db?sslmode=disable&sslrootcert=a", "but `sslmode=disable`", "leave out"),
        ("h/db?sslcert=a", "the certificate for the store comes alone", "sslkey=FILE"),
        ("h/db?sslkey=a", "the key for the store comes alone", "sslcert=FILE"),
        ("h/db?target_session_attrs=any", "accepts no writes", "leave it out"),
        ("h/db?connect_timeout=0", "is no time", "whole number of seconds"),
        ("h/db?port=99999", "is no port", "one number"),
        ("h/db?schema=My", "is no name for a schema", "lower-case"),
        ("h/db?schema=pg_a", "is no name for a schema", "without `pg_`"),
        ("h/%ff", "the database's name is not UTF-8", "percent-encode"),
    ] {
        let told = refusal(address);
        let (what, help) = told.split_once("help: ").expect("what to do");
        assert!(what.contains(problem), "{address}: {told}");
        assert!(help.contains(mend), "{address}: {told}");
    }
}
