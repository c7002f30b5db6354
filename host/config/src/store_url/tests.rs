//! Addresses as people write them, and what they see when one is wrong.

use super::*;

#[test]
fn reads_every_form() {
    for (text, shown) in [
        ("sqlite:soloist.db", "sqlite:soloist.db"),
        ("sqlite:/var/lib/soloist.db", "sqlite:/var/lib/soloist.db"),
        ("sqlite:///var/lib/soloist.db", "sqlite:/var/lib/soloist.db"),
        ("etcd://10.0.0.1", "etcd://10.0.0.1:2379"),
        ("etcd://a:1,b,[::1]:3,[::2]/", "etcd://a:1,b:2379,[::1]:3,[::2]:2379"),
        ("etcds://me:secret@a,b:1", "etcds://a:2379,b:1"),
        ("postgres://me:secret@a,b:1/db?sslmode=require", "postgres://a:5432,b:1/db"),
        ("postgresql://[::1]/db", "postgres://[::1]:5432/db"),
    ] {
        assert_eq!(StoreUrl::parse(text).unwrap().to_string(), shown, "{text}");
    }
}

#[test]
fn decodes_the_login_and_hides_it() {
    let url = StoreUrl::parse("etcd://me:p%40ss%3A@etcd:2379").unwrap();
    let StoreUrl::Etcd { login, .. } = &url else { panic!("{url}") };
    assert_eq!(login.as_ref().unwrap(), &("me".to_owned(), "p@ss:".to_owned()));
    assert_eq!(format!("{url:?}"), "StoreUrl(etcd://etcd:2379)");
}

#[test]
fn knows_whether_other_machines_can_use_the_address() {
    for (text, remote) in [
        ("sqlite:soloist.db", false),
        ("etcd://127.0.0.1:2379,[::1]:2379,localhost", false),
        ("etcd://etcd:2379", true),
        ("postgres://localhost/db", false),
        ("postgres:///db?host=/run/postgresql", false),
        ("postgres://localhost,db1/db", true),
        ("etcds://127.0.0.1:2379,10.0.0.1:2379", true),
    ] {
        assert_eq!(StoreUrl::parse(text).unwrap().is_remote(), remote, "{text}");
    }
}

#[test]
fn refuses_with_the_mend() {
    for (text, message) in [
        (
            "http://10.0.0.1:2379",
            "error: `http://10.0.0.1:2379` is not the address of a store\n\
             help: write `etcd://10.0.0.1:2379`\n",
        ),
        (
            "10.0.0.1:2379",
            "error: `10.0.0.1:2379` is not the address of a store\n\
             help: write `etcd://10.0.0.1:2379`\n",
        ),
        (
            "soloist.db",
            "error: `soloist.db` is not the address of a store\n\
             help: write `sqlite:soloist.db` for a file\n",
        ),
        (
            "https://me:s3cret@h",
            "error: `https://…@h` is not the address of a store\n\
             help: write `etcds://…@h`\n",
        ),
        (
            "etcd:10.0.0.1:2379",
            "error: `etcd:10.0.0.1:2379` is not the address of a store\n\
             help: write `etcd://10.0.0.1:2379`\n",
        ),
        (
            "etcds:h1,h2",
            "error: `etcds:h1,h2` is not the address of a store\n\
             help: write `etcds://h1,h2`\n",
        ),
        (
            "http://10.0.0.1:2379/v3",
            "error: `http://10.0.0.1:2379/v3` is not the address of a store\n\
             help: write `etcd://10.0.0.1:2379`\n",
        ),
        (
            "http://me@h",
            "error: `http://…@h` is not the address of a store\n\
             help: write `sqlite:FILE`, `postgres://HOST/DATABASE` or `etcd://HOST:PORT,HOST:PORT`\n",
        ),
        (
            "redis://h",
            "error: `redis://h` is not the address of a store\n\
             help: write `sqlite:FILE`, `postgres://HOST/DATABASE` or `etcd://HOST:PORT,HOST:PORT`\n",
        ),
        (
            "postgresql:h/db",
            "error: `postgresql:h/db` is not the address of a store\n\
             help: write `postgres://h/db`\n",
        ),
        (
            "jdbc:postgresql://h/db",
            "error: `jdbc:postgresql://h/db` is not the address of a store\n\
             help: write `postgres://h/db`\n",
        ),
        (
            "sqlite:",
            "error: the store names no file\n\
             help: write `sqlite:soloist.db`\n",
        ),
        (
            "sqlite://soloist.db",
            "error: `soloist.db` stands where a URL has its server, and a file has none\n\
             help: write `sqlite:soloist.db`\n",
        ),
        (
            "sqlite::memory:",
            "error: a store in memory cannot be shared\n\
             help: name a file that all hosts of this machine can open, \
             as in `sqlite:soloist.db`\n",
        ),
        (
            "etcd://a:1,b:x",
            "error: `b:x` is not the address of an etcd server\n\
             help: write HOST or HOST:PORT, as in `etcd://10.0.0.1:2379,10.0.0.2:2379`\n",
        ),
        (
            "etcd://a,b:1,A:2379",
            "error: `A:2379` is named twice, and each member of etcd has an address of its own\n\
             help: write the address of another member in place of one of the two, or drop it\n",
        ),
        (
            "etcd://h:2379/prod",
            "error: etcd's address goes no further than its port, but here follows `prod`\n\
             help: write `etcd://h:2379`; `cluster` keeps clusters in one etcd apart\n",
        ),
        (
            "etcds://h:2379?x",
            "error: etcd's address goes no further than its port, but here follows `x`\n\
             help: write `etcds://h:2379`; `cluster` keeps clusters in one etcd apart\n",
        ),
        (
            "etcd://me@h",
            "error: the login of the store lacks its user or its password\n\
             help: write `etcd://USER:PASSWORD@HOST:PORT`, \
             with `:` `@` `/` in them as %3A %40 %2F\n",
        ),
    ] {
        assert_eq!(StoreUrl::parse(text).unwrap_err().to_string(), message);
    }
}
