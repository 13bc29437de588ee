//! Whether the sources can be asked at all, for whoever looks for the cause of trouble. Records nothing and decides nothing.

use futures_util::future::join_all;
use reqwest::{Client, redirect, tls::TlsInfo};
use wox_events::{Timestamp, chain::Standing, id::Label};
use x509_cert::{Certificate, der::Decode as _};

use super::{Network, transport::Endpoint};

impl Network {
    /// Where every source stands now, in their order.
    pub async fn standings(&self) -> Vec<Standing> {
        let mut sessions = self.sessions();
        self.open(&mut sessions, &[]).await;
        sessions.iter().map(super::standing::Session::standing).collect()
    }

    /// When the certificate of each source behind TLS ends; nothing for one that cannot be reached or read.
    pub async fn certificates(&self) -> Vec<(Label, Option<Timestamp>)> {
        let behind_tls = self.sources.iter().filter(|endpoint| endpoint.url().scheme() == "https");
        join_all(behind_tls.map(|endpoint| async {
            (endpoint.source().name.clone(), certificate(endpoint).await.as_deref().and_then(ends))
        }))
        .await
    }
}

/// The certificate that a source shows, as DER. One that is not trusted is not looked at: the source is unreachable then.
async fn certificate(endpoint: &Endpoint) -> Option<Vec<u8>> {
    let timeout = endpoint.limits().timeout;
    let client = Client::builder().redirect(redirect::Policy::none()).timeout(timeout).tls_info(true).build().ok()?;
    let response = client.get(endpoint.url().clone()).send().await.ok()?;
    response.extensions().get::<TlsInfo>()?.peer_certificate().map(<[u8]>::to_vec)
}

/// When a certificate ends.
fn ends(der: &[u8]) -> Option<Timestamp> {
    let certificate = Certificate::from_der(der).ok()?;
    let seconds = certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs();
    Some(Timestamp(i64::try_from(seconds).ok()?.checked_mul(1_000_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl req -x509 -newkey ed25519 -nodes -subj /CN=node -days 3650`, as DER in hex.
    const CERTIFICATE: &str = include_str!("../../../tests/fixtures/certificate.hex");

    #[test]
    fn the_end_of_a_certificate_is_read_and_rubbish_has_none() {
        let der: Vec<u8> = (0..CERTIFICATE.trim().len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&CERTIFICATE[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(ends(&der), Some(Timestamp(2_111_023_746_000_000)));
        assert_eq!(ends(&der[..der.len() / 2]), None);
        assert_eq!(ends(b"not a certificate"), None);
    }
}
