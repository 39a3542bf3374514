//! A TLS front before the bed's plain HTTP port, with certificates made for the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority that signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// One that nobody trusts yet.
    ///
    /// # Panics
    /// When no key can be made.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer }
    }

    /// Writes its certificate as PEM.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("authority.pem");
        std::fs::write(&path, self.issuer.pem()).expect("a writable folder");
        path
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A front that speaks TLS to clients and plain HTTP to the server; it ends with the test.
pub struct TlsFront {
    address: SocketAddr,
    handshakes: Arc<AtomicU32>,
    connections: Arc<AtomicU32>,
    runtime: Option<Runtime>,
}

impl TlsFront {
    /// A front whose certificate is made for `name`. Without an authority it is signed by itself.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start(server: &str, authority: Option<&Authority>, name: &str, expired: bool) -> Self {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(if expired { 2025 } else { 2100 }, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = match authority {
            Some(authority) => params.signed_by(&key, &authority.issuer),
            None => params.self_signed(&key),
        };
        let certificate = certificate.expect("a certificate").der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate that fits its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (handshakes, connections) = (Arc::default(), Arc::default());
        let server = server.trim_start_matches("http://").to_owned();
        runtime.spawn(accept(
            listener,
            acceptor,
            server,
            Arc::clone(&handshakes),
            Arc::clone(&connections),
        ));
        Self { address, handshakes, connections, runtime: Some(runtime) }
    }

    /// Its address under a name that leads to this machine: `localhost` or `127.0.0.1`.
    pub fn url(&self, name: &str) -> String {
        format!("https://{name}:{}", self.address.port())
    }

    /// Clients that trusted the certificate.
    pub fn handshakes(&self) -> u32 {
        self.handshakes.load(Ordering::Relaxed)
    }

    /// Clients that came at all.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        // A runtime must not be dropped inside another one.
        let runtime = self.runtime.take();
        let ended = thread::spawn(move || drop(runtime)).join();
        assert!(ended.is_ok() || thread::panicking(), "the front did not end");
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    server: String,
    handshakes: Arc<AtomicU32>,
    connections: Arc<AtomicU32>,
) {
    while let Ok((client, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        let (acceptor, server, handshakes) =
            (acceptor.clone(), server.clone(), Arc::clone(&handshakes));
        tokio::spawn(async move {
            // A client that does not trust the certificate ends here.
            let Ok(mut client) = acceptor.accept(client).await else { return };
            handshakes.fetch_add(1, Ordering::Relaxed);
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            // Either side may close whenever it likes.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
