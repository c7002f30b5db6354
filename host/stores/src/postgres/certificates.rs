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
    let verifier: Option<Arc<dyn ServerCertVerifier>> = match (tls.mode, &tls.authorities) {
        (SslMode::Require, _) => Some(Arc::new(AnyCertificate(ring::default_provider()))),
        (SslMode::VerifyCa, Some(file)) => {
            let roots = Arc::new(load_authorities(file)?);
            let provider = ring::default_provider().into();
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let failed = |error: rustls::client::VerifierBuilderError| TlsError::Authority {
                file: file.clone(),
                source: error.into(),
            };
            Some(Arc::new(AnyName(verifier.map_err(failed)?)))
        }
        _ => None,
    };
    if let Some(verifier) = verifier {
        config.dangerous().set_certificate_verifier(verifier);
    }
    Ok(config)
}

/// Accepts every certificate whose key the server has: `sslmode=require`.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts a certificate of the authorities whatever name it is for: `sslmode=verify-ca`.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is what is verified last.
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
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
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
