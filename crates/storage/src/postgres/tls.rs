//! Encryption to the server: rustls, with what `sslmode` asks to be checked of its certificate.

use std::sync::Arc;

use oxbatch_core::repository::RepositoryError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings::{Tls, Verify};

/// The encryption of connections. Certificates are read once.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, RepositoryError> {
    let provider = Arc::new(ring::default_provider());
    let chain = match tls.verify {
        Verify::Nothing => None,
        Verify::Signature | Verify::Host => {
            let built =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots(tls)?), Arc::clone(&provider)).build();
            Some(built.map_err(|error| unusable(format!("no certificate can be checked: {error}")))?)
        }
    };
    let verifier = Arc::new(Verifier { verify: tls.verify, chain, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(format!("encryption cannot be used: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn unusable(problem: String) -> RepositoryError {
    RepositoryError::Unusable { problem, source: None }
}

/// Whom is trusted.
fn roots(tls: &Tls) -> Result<RootCertStore, RepositoryError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = &tls.roots else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(unusable("the system has no certificates to check the server's with; name a file".to_owned()));
        }
        return Ok(roots);
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        unusable(format!("the root certificates '{}' cannot be read: {error}", file.display()))
    };
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        roots.add(certificate.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(&"there is none in it"));
    }
    Ok(roots)
}

/// Checks as much of a certificate as is asked for; the signature of the handshake always.
#[derive(Debug)]
struct Verifier {
    verify: Verify,
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.verify == Verify::Signature => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
