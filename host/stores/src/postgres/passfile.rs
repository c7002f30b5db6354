//! The password file, as libpq reads it (PostgreSQL 17, 34.16): the first line that fits counts,
//! `HOST:PORT:DATABASE:USER:PASSWORD`, where `*` fits everything.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::fault::PostgresFault;
use soloist_config::small_file;

/// Whose password is looked for.
pub(super) struct Login<'a> {
    /// The server's name; `localhost` for the default folder of sockets.
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The password of `login` in the file at `named`, or else in the one that libpq would read. It is
/// read for each connection, so a new password needs no restart.
pub(super) fn password(
    named: Option<&Path>,
    login: &Login<'_>,
) -> Result<Option<String>, PostgresFault> {
    let variable = || env::var_os("PGPASSFILE").filter(|it| !it.is_empty()).map(PathBuf::from);
    let home = || Some(Path::new(&env::var_os("HOME")?).join(".pgpass"));
    let named = named.map(Path::to_owned).or_else(variable);
    let Some(file) = named.clone().or_else(home) else { return Ok(None) };
    let about = match fs::metadata(&file) {
        Ok(about) => about,
        // Only one that somebody has named must be there.
        Err(_) if named.is_none() => return Ok(None),
        Err(error) => return Err(unreadable(&file, error)),
    };
    if about.is_file() && about.permissions().mode() & 0o077 != 0 {
        let file = file.display();
        return Err(PostgresFault::refused(format!(
            "others may read the passwords in {file}: `chmod 600 {file}`"
        )));
    }
    let text = small_file::read(&file).map_err(|error| unreadable(&file, error))?;
    Ok(find(&String::from_utf8_lossy(&text), login))
}

fn unreadable(file: &Path, error: std::io::Error) -> PostgresFault {
    let file = file.display();
    let problem = format!("cannot read the password file {file}: let this user read it");
    PostgresFault::Refused { problem, source: Some(error.into()) }
}

fn find(text: &str, login: &Login<'_>) -> Option<String> {
    let port = login.port.to_string();
    let wanted = [login.host, &port, login.database, login.user];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|fields| {
        let (password, names) = fields.split_last().filter(|(_, names)| names.len() == 4)?;
        let fits = names.iter().zip(wanted).all(|(name, wanted)| name == "*" || name == wanted);
        (fits && !password.is_empty()).then(|| password.clone())
    })
}

/// The fields of a line; a backslash takes away the meaning of what follows it.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.trim_end_matches('\r').chars();
    while let Some(next) = chars.next() {
        match next {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|it| it.extend(chars.next())),
            other => fields.last_mut().into_iter().for_each(|it| it.push(other)),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'_> = Login { host: "db1", port: 5432, database: "soloist", user: "me" };

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# db1:5432:soloist:me:commented\n\
                    db1:5432:other:me:1\n\
                    db1:5433:soloist:me:2\n\
                    short:line\n\
                    db1:*:soloist:me:a\\:b\\\\c:d\r\n\
                    *:*:*:*:last\n";
        assert_eq!(find(text, &LOGIN).as_deref(), Some("a:b\\c:d"));
        assert_eq!(find(text, &Login { user: "you", ..LOGIN }).as_deref(), Some("last"));
        assert_eq!(find("db1:5432:soloist:me:\n", &LOGIN), None);
        assert_eq!(find("", &LOGIN), None);
    }

    #[test]
    fn one_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        fs::write(&file, "*:*:*:*:secret").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let told = password(Some(&file), &LOGIN).unwrap_err().to_string();
        assert!(told.contains("chmod 600"), "{told}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(Some(&file), &LOGIN).unwrap().as_deref(), Some("secret"));
        fs::remove_file(&file).unwrap();
        let told = password(Some(&file), &LOGIN).unwrap_err().to_string();
        assert!(told.contains("let this user read it"), "{told}");
    }
}
