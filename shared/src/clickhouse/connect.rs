//! Opening a server: address, credentials, connection pool.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clickhouse::Row;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::known::Known;
use super::readable::ReadableConnector;
use super::{Call, Failure};
use crate::sql::{self, Statement};

/// Sockets idle for longer are closed by us: the server closes them after 3 s by default
/// (`keep_alive_timeout`), and a request on a socket that is just being closed is an unknown outcome.
const POOL_IDLE: Duration = Duration::from_secs(2);
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a server is and who we are there.
#[derive(Debug, Clone)]
pub struct Connection {
    /// `http://host:port` or `https://host:port`, without credentials.
    pub url: String,
    /// ClickHouse user.
    pub user: String,
    /// Its password; empty for none.
    pub password: SecretString,
    /// PEM file of the only authorities that may have signed the server's certificate; without it
    /// those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Database of the control tables.
    pub control: String,
    /// Database of the staging tables.
    pub staging: String,
}

/// One ClickHouse server.
#[derive(Clone)]
pub struct Server {
    client: clickhouse::Client,
    connection: Connection,
    known: Arc<OnceCell<Known>>,
    has_replicas: Arc<AtomicBool>,
}

#[derive(Deserialize, Row)]
struct SettingName {
    name: String,
}

/// What a load is fitted to.
#[derive(Debug, Clone, Deserialize, Row)]
pub struct ServerFacts {
    /// Version text of the server.
    pub version: String,
    /// Its time zone name.
    pub timezone: String,
    /// Identity of this server's data: `serverUUID()`, or that of the control database. A text, and
    /// empty on an engine that has neither yet.
    pub server_uuid: String,
    /// The user that we are.
    pub user: String,
    /// Seconds since the server was started.
    pub uptime_secs: u64,
    /// Threads that one query gets by default (the server's cores).
    pub threads: u64,
    /// Memory limit of the server in bytes; 0 when it is unknown.
    pub memory_bytes: u64,
}

impl Server {
    /// Makes the handle; nothing is sent yet.
    ///
    /// # Errors
    /// When the authorities for an `https` address cannot be read.
    pub fn new(connection: Connection) -> Result<Self, Failure> {
        crate::redact::register(&connection.password);
        let client = http_client(&connection.url, connection.ca_file.as_deref())?
            .with_url(&connection.url)
            .with_user(&connection.user)
            .with_password(connection.password.expose_secret())
            .with_compression(clickhouse::Compression::None)
            .with_product_info("longshore", env!("CARGO_PKG_VERSION"));
        Ok(Self { client, connection, known: Arc::default(), has_replicas: Arc::default() })
    }

    /// Address, user and database names.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Database of the control tables.
    pub fn control(&self) -> &str {
        &self.connection.control
    }

    /// Database of the staging tables.
    pub fn staging(&self) -> &str {
        &self.connection.staging
    }

    /// Starts a call of a catalogued statement.
    pub fn call(&self, statement: Statement) -> Call<'_> {
        Call::new(self.client.clone(), statement)
    }

    /// Starts a call of text derived from a user's own tables or sources.
    pub fn call_text(&self, name: &'static str, text: String) -> Call<'_> {
        Call::from_text(self.client.clone(), name, text)
    }

    /// The plain client, for inserts of rows.
    pub(crate) fn client(&self) -> &clickhouse::Client {
        &self.client
    }

    /// Version, cores and memory of the server; also the first proof that address and password work.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn facts(&self) -> Result<ServerFacts, Failure> {
        let call = || self.call(sql::SERVER_FACTS).param("control", self.control());
        super::retry_idempotent(|| call().fetch_one::<ServerFacts>()).await
    }
}

impl Server {
    /// Has anybody seen a replicated table here?
    pub(crate) fn has_replicas(&self) -> bool {
        self.has_replicas.load(Ordering::Relaxed)
    }

    /// A replicated table was seen here.
    pub(crate) fn note_replicas(&self) {
        self.has_replicas.store(true, Ordering::Relaxed);
    }

    /// Is it certain that the server knows this setting?
    pub async fn knows(&self, name: &str) -> bool {
        self.known_settings().await.0.as_ref().is_some_and(|names| names.contains(name))
    }

    /// The same without asking: no, while nobody has asked for the settings of the server.
    pub(crate) fn knows_already(&self, name: &str) -> bool {
        let known = self.known.get().and_then(|known| known.0.as_ref());
        known.is_some_and(|names| names.contains(name))
    }

    /// The settings that the server knows, asked for once.
    pub async fn known_settings(&self) -> &Known {
        let ask = async {
            let call = || self.call(sql::LIST_SETTINGS).fetch_all::<SettingName>();
            // Who may not look sends all: an older server answers with the name it does not know.
            super::retry_idempotent(call)
                .await
                .map(|found| Known(Some(found.into_iter().map(|s| s.name).collect())))
        };
        static ALL: Known = Known(None);
        Box::pin(self.known.get_or_try_init(|| ask)).await.unwrap_or(&ALL)
    }
}

fn http_client(url: &str, ca_file: Option<&Path>) -> Result<clickhouse::Client, Failure> {
    let mut tcp = HttpConnector::new();
    tcp.set_keepalive(Some(TCP_KEEPALIVE));
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let mut builder = HyperClient::builder(TokioExecutor::new());
    // A statement that is sent twice can load twice, so the pool never re-sends by itself.
    builder.pool_idle_timeout(POOL_IDLE).retry_canceled_requests(false);
    if url.starts_with("https://") {
        let config = tls_config(ca_file).map_err(|words| Failure::tls("connect", &words))?;
        // There is no way back to plain HTTP from an https address.
        let tls = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(clickhouse::Client::with_http_client(builder.build(ReadableConnector(tls))))
    } else {
        Ok(clickhouse::Client::with_http_client(builder.build(ReadableConnector(tcp))))
    }
}

/// Verifies the server's certificate and name; there is no setting to leave that out.
fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let shown = path.display();
        for authority in authorities(path)? {
            roots.add(authority).map_err(|error| format!("{shown}: {error}"))?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(format!(
                "this system has no certificates of authorities{why}; install ca-certificates, or \
                 name a file with --ca-file or CLICKHOUSE_CA_FILE"
            ));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The certificates in a PEM file; at least one.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!(
            "{shown} holds no certificate: it must be a PEM file with BEGIN CERTIFICATE"
        )),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("cannot read certificates from {shown}: {error}")),
    }
}
