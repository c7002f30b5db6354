//! Reads what the settings grant to an action into its [`Grants`].

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::unix::fs::FileTypeExt,
    path::Path,
};

use super::{
    FolderMount, Grants, OutboundGrant, Secret, SocketGrant,
    problem::{Location, Problem},
    resolver::Resolver,
    settings_file::{ActionTable, LocatedText, MountTable},
    value,
};

/// The grants of `action` in `table`; `None` after reporting what is wrong.
pub(super) fn read(
    resolver: &mut Resolver<'_>,
    action: &str,
    table: &ActionTable,
) -> Option<Grants> {
    let outbound = each(resolver, &table.outbound, OutboundGrant::parse);
    let sockets = each(resolver, &table.sockets, SocketGrant::parse);
    let mut places = BTreeSet::new();
    let mounts: Vec<_> =
        table.mounts.iter().map(|table| mount(resolver, table, &mut places)).collect();
    let tasks = each(resolver, &table.tasks, task);
    let env = texts(resolver, &table.env, variable);
    let config = texts(resolver, &table.config, |_| Ok(()));
    let secrets = secrets(resolver, table);
    let args = each(resolver, &table.args, |text| without_nul(text).map(ToOwned::to_owned));
    Some(Grants {
        written_in: resolver.action_place(action),
        state: table.state,
        tasks: tasks?,
        outbound: outbound?,
        sockets: sockets?,
        outbound_private: table.outbound_private,
        outbound_fencing_token: table.outbound_fencing_token.unwrap_or(true),
        mounts: mounts.into_iter().collect::<Option<_>>()?,
        args: args?,
        env: env?,
        secrets: secrets?,
        config: config?,
    })
}

/// A table of texts; `judge` checks the keys.
fn texts(
    resolver: &mut Resolver<'_>,
    table: &BTreeMap<LocatedText, LocatedText>,
    judge: impl Fn(&str) -> Result<(), Problem>,
) -> Option<BTreeMap<String, String>> {
    let read: Vec<_> = table
        .iter()
        .map(|(name, text)| {
            let name = resolver.written(Some(name.clone()), "");
            let text = resolver.written(Some(text.clone()), "");
            let approved = resolver.read(&name, &judge);
            let text = resolver.read(&text, |text| without_nul(text).map(ToOwned::to_owned));
            Some((approved.map(|()| name.text)?, text?))
        })
        .collect();
    read.into_iter().collect()
}

fn secrets(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<BTreeMap<String, Secret>> {
    let reader = resolver.secret_reader();
    let read: Vec<_> = table
        .secrets
        .iter()
        .map(|(name, text)| {
            let mut text = resolver.written(Some(text.clone()), "");
            // Someone may have written the secret itself here, so the line is not shown.
            text.place = text.place.map(Location::without_text);
            let secret = resolver.read(&text, |text| {
                let secret = reader.fetch(text)?;
                without_nul(secret.reveal()).map(|_| ())?;
                Ok(secret)
            });
            let mut name = resolver.written(Some(name.clone()), "");
            name.place = name.place.map(Location::without_text);
            let approved = resolver.read(&name, |name| {
                variable(name)?;
                if table.env.keys().any(|other| other.get_ref() == name) {
                    let what = format!("`{name}` is in `env` already");
                    return Err(Problem::new(what, "a variable has one value: drop one of them"));
                }
                Ok(())
            });
            Some((approved.map(|()| name.text)?, secret?))
        })
        .collect();
    read.into_iter().collect()
}

/// Parses the name of a task, or `*` for all tasks.
fn task(text: &str) -> Result<String, Problem> {
    if text == "*" { Ok(text.to_owned()) } else { value::name(text) }
}

/// Checks the name of an environment variable.
fn variable(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let what = format!("`{}` is not the name of a variable", name.escape_debug());
        return Err(Problem::new(what, "write one or more characters other than `=`"));
    }
    Ok(())
}

/// Rejects NUL: a program would see only the part of the text before it.
fn without_nul(text: &str) -> Result<&str, Problem> {
    if text.contains('\0') {
        return Err(Problem::new(
            "this text contains a NUL character",
            "programs cannot receive NUL characters: remove it",
        ));
    }
    Ok(text)
}

/// Parses each text of a list; `None` after reporting all that is wrong.
pub(super) fn each<T>(
    resolver: &mut Resolver<'_>,
    texts: &[LocatedText],
    parse: impl Fn(&str) -> Result<T, Problem>,
) -> Option<Vec<T>> {
    let mut read = |text: &LocatedText| {
        let setting = resolver.written(Some(text.clone()), "");
        resolver.read(&setting, &parse)
    };
    // Parse all of them first, so that every mistake is reported.
    let values: Vec<_> = texts.iter().map(&mut read).collect();
    values.into_iter().collect()
}

fn mount(
    resolver: &mut Resolver<'_>,
    table: &MountTable,
    places: &mut BTreeSet<String>,
) -> Option<FolderMount> {
    let source = resolver.written(Some(table.source.clone()), "");
    let target = resolver.written(Some(table.target.clone()), "");
    let path = resolver.path(&source, Path::new(&source.text));
    let usable = resolver.read(&source, |text| usable(text, &path).map_err(Problem::external));
    let target = resolver.read(&target, |text| {
        let place = place(text)?;
        if places.insert(place.clone()) {
            return Ok(place);
        }
        let what = format!("two mounts have the target `{place}`");
        Err(Problem::new(what, "give each mount a `target` of its own"))
    });
    usable?;
    Some(FolderMount { source: path, target: target?, read_only: table.read_only })
}

/// Rejects a path that is no folder, and a folder with a named pipe in it: opening a pipe blocks
/// a thread until its other end is opened, and nothing could end that.
fn usable(text: &str, path: &Path) -> Result<(), Problem> {
    let unreadable = |error: io::Error| {
        Problem::new(
            format!("cannot read the folder `{text}`: {error}"),
            "create it, or name another; a relative path starts from the settings file's folder",
        )
    };
    for entry in path.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_type().map_err(unreadable)?.is_fifo() {
            let name = entry.file_name();
            return Err(Problem::new(
                format!("`{}` in the folder `{text}` is a named pipe", name.display()),
                "remove it, or name a folder without one: a plugin that opens it could not be stopped",
            ));
        }
    }
    Ok(())
}

/// The path at which a plugin sees a folder, without a trailing slash.
fn place(text: &str) -> Result<String, Problem> {
    let place = text.strip_suffix('/').filter(|place| !place.is_empty()).unwrap_or(text);
    let steps = || place.split('/').skip(1);
    let plain = place == "/" || steps().all(|step| !matches!(step, "" | "." | ".."));
    if place.starts_with('/') && plain {
        return Ok(place.to_owned());
    }
    Err(Problem::new(
        format!("`{text}` is not a valid `target` of a mount"),
        "write an absolute path without `.` or `..`, as in `/data`",
    ))
}
