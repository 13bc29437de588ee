//! Sources behind TLS: a certificate is verified, and a source whose certificate nobody vouches for gives no answer.

use std::{fs, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
};

use super::{
    anvil::{PLAYER, WATCHED, cents, pay},
    desk::{Desk, SECRET},
    rt,
};

/// TLS in front of a node: where it listens, who vouches for it, and the task that passes everything on.
async fn behind_tls(node: &str) -> (String, String, JoinHandle<()>) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let trusted = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let node = node.trim_start_matches("http://").to_owned();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, node) = (acceptor.clone(), node.clone());
            tokio::spawn(async move {
                // Whoever does not trust us hangs up.
                let Ok(mut inside) = acceptor.accept(stream).await else { return };
                let mut outside = TcpStream::connect(node).await.unwrap();
                let _closed = copy_bidirectional(&mut inside, &mut outside).await;
            });
        }
    });
    (url, trusted, task)
}

#[test]
fn a_certificate_is_verified_and_one_that_nobody_vouches_for_is_no_answer() {
    rt().block_on(async {
        let desk = Desk::set().await;
        let payment = pay(PLAYER, 0, WATCHED, cents(5_000));
        desk.anvil.send(&payment).await;
        desk.anvil.finalize().await;
        let (url, trusted, task) = behind_tls(&desk.anvil.url).await;
        let address = format!("{url}/?key={SECRET}");
        desk.settings("", &[&address, &address]).await;
        fs::write(desk.path().join("authority.pem"), trusted).unwrap();
        let observed = |trust: bool| {
            let words = ["observe", "deposit", payment.tx.as_str()];
            let mut command = desk.command(&words);
            if trust {
                command.env("SSL_CERT_FILE", desk.path().join("authority.pem"));
            }
            tokio::task::spawn_blocking(move || command.output().unwrap())
        };
        for (trust, code, says) in
            [(false, 6, "D11"), (false, 6, "no connection, or a certificate that is not trusted"), (true, 0, "D1")]
        {
            let output = observed(trust).await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{said}");
            assert!(said.contains(says) && !said.contains(SECRET), "{said}");
        }
        task.abort();
    });
}
