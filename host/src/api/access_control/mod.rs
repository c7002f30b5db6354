//! Access control of the control API: who may do what, and under which name the host was called.
//!
//! Invariants:
//! - Every request is checked here, including those for the leader's actions. A route that does
//!   not state its role requires `operate`.
//! - Without any token or client authority in the settings everyone may operate. Such a host
//!   listens on loopback only, or its settings say `insecure`.
//! - Tokens are compared by their hashes, in constant time, and always against all known ones.

mod allowed_names;
mod credential;
mod same_origin;
#[cfg(test)]
pub(super) mod tests;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use self::{allowed_names::AllowedNames, credential::Credential};
use super::{
    api_error::ApiError,
    required_role::{OPERATE, READ, RequiredRole},
    role_table::RoleTable,
};
use crate::{http::ConnectionInfo, relay::Relay};
use soloist_config::{ApiRole, ApiToken, ConfigError, HostConfig, read_tokens};
use soloist_tls::{Reloadable, ReloadingAcceptor, TlsError};

/// Why access control cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AccessControlError {
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file of tokens cannot be read.
    #[error("the tokens cannot be read:\n{0}")]
    Tokens(#[from] ConfigError),
}

/// Decides which clients may do what.
pub struct AccessControl {
    pub(super) tls: Option<ReloadingAcceptor>,
    /// Whether clients must identify themselves.
    requires_credentials: bool,
    tokens: Reloadable<Vec<ApiToken>>,
    /// The hash of the token that hosts present to each other.
    peer: Option<[u8; 32]>,
    /// What holders of a client certificate may do.
    certified: Option<ApiRole>,
    names: AllowedNames,
}

/// A client that was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdmittedCaller {
    /// What the client may do.
    pub(super) role: ApiRole,
    /// Whether `authorization` identified the client; the header is then hidden from plugins.
    pub(super) by_authorization: bool,
}

impl AccessControl {
    /// The access control of a host whose control API is bound to `bound`.
    ///
    /// # Errors
    /// The certificates or the file of tokens cannot be used.
    pub fn of(host: &HostConfig, bound: SocketAddr) -> Result<Self, AccessControlError> {
        let tls = host.tls.as_ref().map(|tls| match &tls.client_ca {
            Some(authority) => ReloadingAcceptor::with_client_ca(&tls.files, authority.clone()),
            None => ReloadingAcceptor::new(&tls.files),
        });
        let (written, file) = (host.api.tokens.clone(), host.api.tokens_file.clone());
        let tokens = Reloadable::new(file.iter().cloned().collect(), move || {
            let more = file.as_deref().map_or_else(|| Ok(Vec::new()), read_tokens)?;
            Ok::<_, ConfigError>(written.iter().cloned().chain(more).collect())
        })?;
        let certified = host.tls.as_ref().filter(|tls| tls.client_ca.is_some());
        Ok(Self {
            tls: tls.transpose()?,
            requires_credentials: host.requires_credentials(),
            tokens,
            peer: host.api.peer_token.as_ref().map(|token| hash(token.reveal())),
            certified: certified.map(|tls| tls.client_role),
            names: AllowedNames::of(host, bound),
        })
    }

    /// Lets a client in if it has the required role.
    async fn check(
        &self,
        needs: RequiredRole,
        caller: ConnectionInfo,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<AdmittedCaller, ApiError> {
        let RequiredRole::Role(needed) = needs else {
            // Health checks may use any host name.
            return Ok(AdmittedCaller { role: ApiRole::Read, by_authorization: false });
        };
        self.names.check(uri, headers)?;
        if !self.requires_credentials {
            return Ok(AdmittedCaller { role: ApiRole::Operate, by_authorization: false });
        }
        let certified = self.certified.filter(|_| caller.has_certificate);
        let shown = Credential::read(headers, certified.is_some());
        let by_authorization = shown.as_ref().is_some_and(|shown| shown.by_authorization);
        let role = match shown {
            Some(shown) => {
                let role = self.role_of(&shown.token).await.ok_or_else(unknown_token)?;
                certified.map_or(role, |certified| certified.max(role))
            }
            None => certified.ok_or_else(missing_credential)?,
        };
        if role < needed {
            Err(insufficient_role(role))
        } else {
            Ok(AdmittedCaller { role, by_authorization })
        }
    }

    /// Whether a client has the role `read`.
    pub(super) async fn may_read(
        &self,
        caller: ConnectionInfo,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> bool {
        self.check(READ, caller, uri, headers).await.is_ok()
    }

    /// The role of the owner of `token`.
    async fn role_of(&self, token: &str) -> Option<ApiRole> {
        let shown = hash(token);
        let tokens = self.tokens.get().await;
        let known = tokens.iter().map(|token| (token.role, &token.sha256));
        let peer = self.peer.iter().map(|peer| (ApiRole::Operate, peer));
        let same =
            |(role, hash): (ApiRole, &[u8; 32])| bool::from(shown.ct_eq(hash)).then_some(role);
        // Compares all of them, so that the time taken says nothing.
        known.chain(peer).filter_map(same).max()
    }

    /// Lets a client in to the leader's actions. Safe methods require the role `read`, except
    /// upgrades: nothing is known of what such a connection will do.
    pub(super) async fn admit_to_actions(
        &self,
        caller: ConnectionInfo,
        request: &mut Request<Incoming>,
    ) -> Result<(), ApiError> {
        let looks = request.method().is_safe() && !request.headers().contains_key(header::UPGRADE);
        let needs = if looks { READ } else { OPERATE };
        let admitted = self.check(needs, caller, request.uri(), request.headers()).await?;
        let headers = request.headers_mut();
        if admitted.by_authorization {
            // A plugin that saw this header could use the client's credential.
            headers.remove(header::AUTHORIZATION);
        }
        if admitted.role < ApiRole::Operate {
            // Headers that only hosts may set are trusted from hosts only.
            Relay::strip_host_headers(headers);
        }
        // A request passed on by another host was sent to an address of an action, which any web
        // page may use. A page cannot pretend this: the browser would need permission to send
        // such headers.
        if Relay::is_from_host(headers) {
            return Ok(());
        }
        same_origin::check(request.method(), request.uri(), request.headers())
    }
}

#[cfg(test)]
impl AccessControl {
    /// Lets everyone in.
    pub(in crate::api) fn open() -> Self {
        Self::with_tokens([])
    }

    /// Lets the owners of these tokens in.
    pub(super) fn with_tokens(tokens: impl IntoIterator<Item = (&'static str, ApiRole)>) -> Self {
        let token =
            |(text, role): (&str, _)| ApiToken { name: text.into(), role, sha256: hash(text) };
        let tokens: Vec<_> = tokens.into_iter().map(token).collect();
        Self {
            tls: None,
            requires_credentials: !tokens.is_empty(),
            tokens: Reloadable::new(Vec::new(), move || Ok::<_, ConfigError>(tokens.clone()))
                .unwrap(),
            peer: None,
            certified: None,
            names: AllowedNames::default(),
        }
    }
}

/// Checks a request to the control API itself against what its route requires.
pub(super) async fn admit(
    State((access_control, table)): State<(Arc<AccessControl>, Arc<RoleTable>)>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let needs = table.required_role(request.method(), path);
    let Some(caller) = request.extensions().get::<ConnectionInfo>().copied() else {
        let error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "nobody asks", "report this");
        return error.into_response();
    };
    let (method, uri) = (request.method(), request.uri());
    let admitted = access_control.check(needs, caller, uri, request.headers()).await;
    match admitted.and_then(|_| same_origin::check(method, uri, request.headers())) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

const HELP: &str = "send a token, as `authorization: Bearer TOKEN`: `soloist` takes one by \
                    --token-file FILE or from SOLOIST_TOKEN; `soloist token new` makes them";

fn missing_credential() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "authentication is required", HELP).with_challenge("")
}

fn unknown_token() -> ApiError {
    let what = "this host does not know the token that was shown";
    ApiError::new(StatusCode::UNAUTHORIZED, what, HELP).with_challenge(", error=\"invalid_token\"")
}

fn insufficient_role(role: ApiRole) -> ApiError {
    let what = format!("this requires the role `operate`, and this client has the role `{role}`");
    let help = "use another token: `soloist token new NAME --role operate` creates one";
    ApiError::new(StatusCode::FORBIDDEN, what, help)
        .with_challenge(", error=\"insufficient_scope\"")
}
