//! What is demanded of the server's certificate.
//!
//! Invariant: replaced certificate files take effect from the next connection on, as with
//! [`Reloadable`].

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use soloist_config::{PostgresTls, SslMode};
use soloist_tls::{Reloadable, TlsError, client_config, client_files, load_authorities};

/// The TLS settings, loaded; with `sslmode=disable` none.
pub(super) struct PostgresCertificates(Option<Reloadable<Arc<ClientConfig>>>);

impl PostgresCertificates {
    /// Reads the certificate files.
    pub(super) fn load(tls: &PostgresTls) -> Result<Self, TlsError> {
        if tls.mode == SslMode::Disable {
            return Ok(Self(None));
        }
        let files = client_files(tls.authorities.as_ref(), tls.own.as_ref());
        let tls = tls.clone();
        Reloadable::new(files, move || config(&tls).map(Arc::new)).map(|it| Self(Some(it)))
    }

    /// The configuration for the next connection; `None` means no TLS.
    pub(super) async fn current(&self) -> Option<Arc<ClientConfig>> {
        let loaded = self.0.as_ref()?;
        Some(Arc::clone(&*loaded.get().await))
    }
}

fn config(tls: &PostgresTls) -> Result<ClientConfig, TlsError> {
    // This verifies authority and name.
    let mut config = client_config(tls.authorities.as_ref(), tls.own.as_ref())?;
    let provider = ring::default_provider();
    let authorities = match (tls.mode, &tls.authorities) {
        (SslMode::Require, _) => None,
        (SslMode::VerifyCa, Some(file)) => {
            let roots = Arc::new(load_authorities(file)?);
            let provider = provider.clone().into();
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let failed = |error: rustls::client::VerifierBuilderError| TlsError::Authority {
                file: file.clone(),
                source: error.into(),
            };
            Some(verifier.map_err(failed)?)
        }
        _ => return Ok(config),
    };
    let verifier = Arc::new(LenientVerifier { authorities, provider });
    config.dangerous().set_certificate_verifier(verifier);
    Ok(config)
}

/// Demands less than webpki does, which verifies the authority and the name; the server must have
/// the certificate's key in any case.
#[derive(Debug)]
struct LenientVerifier {
    /// `sslmode=verify-ca`: the certificate must be of these, whatever name it is for. None with
    /// `sslmode=require`: every certificate is accepted.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: CryptoProvider,
}

impl ServerCertVerifier for LenientVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name is what is verified last.
        match authorities.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
