//! The paths of one address, and what answers under each.

use std::sync::Arc;

use ::http::{HeaderName, HeaderValue, Request, Uri, uri::PathAndQuery};
use parking_lot::RwLock;

/// Tells a plugin which part of the path was removed, as reverse proxies do.
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// What answers under each path: `/`, or a path without a slash at its end. The longest matching
/// path wins.
pub(crate) struct PathMap<T>(RwLock<Vec<(Arc<str>, T)>>);

impl<T> Default for PathMap<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> PathMap<T> {
    /// Replaces all paths.
    pub(crate) fn set(&self, mut all: Vec<(Arc<str>, T)>) {
        all.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        *self.0.write() = all;
    }

    /// Finds the path that `path` is below. `take` gets that path, its value, and how many bytes of
    /// `path` it takes up.
    ///
    /// # Errors
    /// No path matches; the error lists the paths that there are.
    pub(crate) fn find<R>(
        &self,
        path: &str,
        take: impl FnOnce(&Arc<str>, &T, usize) -> R,
    ) -> Result<R, String> {
        let all = self.0.read();
        let found = all.iter().find_map(|(own, it)| Some((own, it, path_below(own, path)?.len())));
        match found {
            Some((own, it, rest)) => Ok(take(own, it, path.len() - rest)),
            None => Err(all.iter().map(|(own, _)| &**own).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Marks a request with the path below which it was found: the mount of an action, or its place at
/// the control address.
#[derive(Clone, Debug)]
pub(crate) struct MatchedRoute(pub(crate) Arc<str>);

/// Removes the first `taken` bytes of the request's path, and tells the plugin about them by
/// `prefix`. `None` if no valid target is left.
pub(crate) fn strip_prefix<B>(
    request: &mut Request<B>,
    taken: usize,
    prefix: Option<&str>,
) -> Option<()> {
    *request.uri_mut() = without_prefix(request.uri(), taken)?;
    if let Some(prefix) = prefix {
        request.headers_mut().append(PREFIX, HeaderValue::from_str(prefix).ok()?);
    }
    Some(())
}

/// The rest of `path` below `mount`, if it is below it.
fn path_below<'a>(mount: &str, path: &'a str) -> Option<&'a str> {
    if mount == "/" {
        return Some(path);
    }
    let rest = path.strip_prefix(mount)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// `uri` without the first `taken` bytes of its path.
fn without_prefix(uri: &Uri, taken: usize) -> Option<Uri> {
    let old = uri.path_and_query()?.as_str().get(taken..)?;
    let slash = if old.starts_with('/') { "" } else { "/" };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{slash}{old}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_off_at_its_slashes() {
        let rest = |path: &str, of: &str| super::path_below(path, of).map(ToOwned::to_owned);
        assert_eq!(rest("/", "/a/b").as_deref(), Some("/a/b"));
        assert_eq!(rest("/a", "/a/b").as_deref(), Some("/b"));
        assert_eq!(rest("/a", "/a").as_deref(), Some(""));
        assert_eq!(rest("/a", "/ab"), None);
        assert_eq!(rest("/a", "/"), None);
    }

    #[test]
    fn what_is_left_begins_with_a_slash() {
        let left =
            |uri: &str, taken| without_prefix(&uri.parse().unwrap(), taken).unwrap().to_string();
        assert_eq!(left("/a/b?c=1", 2), "/b?c=1");
        assert_eq!(left("/a", 2), "/");
        assert_eq!(left("/a?c=1", 2), "/?c=1");
        assert_eq!(left("http://h:1/a/b", 2), "http://h:1/b");
    }
}
