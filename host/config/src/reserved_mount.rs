//! Addresses and paths that are kept free for actions that are currently unavailable.

use std::{net::SocketAddr, sync::Arc};

use super::{
    ActionConfig, Kind,
    action::DEFAULT_LISTEN,
    own_path::own_path,
    settings_file::{ActionTable, LocatedText},
    value,
};

/// The address and path of an unavailable action, which no other action gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedMount {
    /// The name of the action.
    pub name: Arc<str>,
    /// Its address.
    pub listen: SocketAddr,
    /// Whether the address is unknown, since the settings cannot be read; it then may be any.
    pub any_address: bool,
    /// Its path, if its settings name one.
    pub path: Option<Arc<str>>,
    /// Whether its settings show that it would answer requests.
    pub answers: bool,
}

impl ReservedMount {
    /// The reservation of an action of which only the name is known; `None` if the name is
    /// invalid.
    pub(super) fn unknown(name: &str) -> Option<Self> {
        let name = value::name(name).ok()?.into();
        Some(Self { name, listen: DEFAULT_LISTEN, any_address: false, path: None, answers: false })
    }

    /// Whether it may answer at the address `listen`.
    #[must_use]
    pub fn is_at(&self, listen: SocketAddr) -> bool {
        self.any_address || self.listen == listen
    }

    /// Its path: the one of its settings, or the default of its name.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        self.path.clone().unwrap_or_else(|| own_path(&self.name))
    }

    /// The reservation by what can be read of its settings; `None` if they say that it answers no
    /// requests.
    pub(super) fn from_table(name: &str, table: &ActionTable) -> Option<Self> {
        let text = |text: &Option<LocatedText>| text.as_ref().map(|text| text.get_ref().clone());
        let kinds = table.kinds.as_ref().map(|kinds| kinds.get_ref());
        let http = |kinds: &Vec<LocatedText>| kinds.iter().any(|kind| kind.get_ref() == "http");
        let listen = text(&table.listen).and_then(|listen| value::address(&listen).ok());
        let path = text(&table.path).and_then(|path| value::mount(&path).ok());
        let shows = table.listen.is_some() || table.path.is_some() || table.standby.is_some();
        let unknown = Self::unknown(name)?;
        kinds.is_none_or(http).then(|| Self {
            listen: listen.unwrap_or(unknown.listen),
            path,
            answers: kinds.is_some() || shows || table.tls.is_some(),
            ..unknown
        })
    }

    /// The reservation of an action whose settings are valid.
    #[must_use]
    pub fn from_config(config: &ActionConfig) -> Option<Self> {
        let ActionConfig { name, kinds, listen, path, tls, relay: relayed, .. } = config;
        let shows = *listen != DEFAULT_LISTEN || path.is_some() || relayed.standby.listens();
        kinds.as_ref().is_none_or(|kinds| kinds.has(Kind::Http)).then(|| Self {
            name: Arc::clone(name),
            listen: *listen,
            any_address: false,
            path: path.clone(),
            answers: kinds.is_some() || shows || tls.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings_file::SourceFile;

    fn written(text: &str) -> Option<(String, String, bool)> {
        let source = SourceFile::new("web.toml".into(), text.to_owned());
        let reserved = ReservedMount::from_table("web", &source.parse().unwrap())?;
        Some((reserved.listen.to_string(), reserved.path().to_string(), reserved.answers))
    }

    #[test]
    fn what_can_be_read_of_wrong_settings_says_where_it_would_answer() {
        let place = |listen: &str, path: &str, answers| Some((listen.into(), path.into(), answers));
        assert_eq!(written("max_concurrent_requests = 0"), place("127.0.0.1:3000", "/web", false));
        let text = "listen = \"10.0.0.1:80\"\npath = \"/shop/\"\nrestart = \"perhaps\"";
        assert_eq!(written(text), place("10.0.0.1:80", "/shop", true));
        assert_eq!(written("listen = \"here\""), place("127.0.0.1:3000", "/web", true));
        assert_eq!(written("kinds = [\"service\"]"), None);
        assert_eq!(written("kinds = [\"http\"]"), place("127.0.0.1:3000", "/web", true));
        assert_eq!(ReservedMount::unknown("a/b"), None);
    }

    #[test]
    fn settings_that_are_right_say_the_same() {
        let config = ActionConfig::with_defaults("web", "web.wasm".into());
        assert_eq!(ReservedMount::from_config(&config), ReservedMount::unknown("web"));
        let kinds = Some([Kind::Service].into_iter().collect());
        assert_eq!(ReservedMount::from_config(&ActionConfig { kinds, ..config }), None);
    }
}
