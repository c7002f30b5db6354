//! The person who gives a command.

use std::env::var;

/// The person who runs this command, as in `ada@desk`. Under `sudo` it is the person who called
/// that, and not root.
pub(super) fn operator() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{}@{machine}", user([var("SUDO_USER").ok(), var("USER").ok()]))
}

/// The first user that the environment names, or else the user of the system.
fn user(variables: [Option<String>; 2]) -> String {
    let uid = nix::unistd::Uid::current();
    let known = || nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    let named = variables.into_iter().flatten().find(|name| !name.is_empty()).or_else(known);
    named.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_person_behind_sudo_comes_first_and_the_user_of_the_system_last() {
        let names = |sudo: &str, own: &str| user([Some(sudo.into()), Some(own.into())]);
        assert_eq!(names("ada", "root"), "ada");
        assert_eq!(names("", "eve"), "eve");
        let id = |flags: &str| {
            let said = Command::new("id").arg(flags).output().unwrap();
            (said.status.success(), String::from_utf8(said.stdout).unwrap().trim().to_owned())
        };
        let known = match id("-un") {
            (true, name) => name,
            (false, _) => format!("uid {}", id("-u").1),
        };
        assert_eq!(names("", ""), known);
        assert_eq!(user([None, None]), known);
    }
}
