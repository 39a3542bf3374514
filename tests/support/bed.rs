//! The running servers, as `scripts/testbed env` tells them.

use std::env;
use std::path::PathBuf;

/// Addresses and credentials of the bed.
#[derive(Debug, Clone)]
pub struct Bed {
    /// HTTP address of the first ClickHouse.
    pub clickhouse_url: String,
    /// HTTP address of the second ClickHouse, of a bed that has one.
    pub second_url: Option<String>,
    /// HTTPS address of the first ClickHouse, of a bed whose engine has it.
    pub https_url: Option<String>,
    /// Certificate of the authority that signed its certificate.
    pub ca_file: Option<String>,
    /// HTTP address of the balancer, of a bed that has one.
    pub balancer_url: Option<String>,
    /// Name of the cluster of all servers, for `ON CLUSTER`, of a bed whose engine knows clusters.
    pub cluster: Option<String>,
    /// The least-privilege user that Longshore runs as.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Address of the S3 server.
    pub s3_endpoint: String,
    /// Bucket for the files of tests.
    pub bucket: String,
    /// Access key of the bucket.
    pub access_key_id: String,
    /// Secret key of the bucket.
    pub secret_access_key: String,
    /// Named collection of the bucket on the server.
    pub collection: String,
    /// Named collection of the first server of the bed, for `remote()`.
    pub first: String,
    /// Named collection of the last server of the bed, for `remote()`.
    pub peer: String,
}

impl Bed {
    /// The bed that the environment names.
    ///
    /// # Panics
    /// When there is none: these tests cannot pass without one, so they must not look as if they did.
    pub fn from_env() -> Self {
        Self::read(|name| env::var(name).ok())
    }

    /// The bed that these variables name.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let second_url = variable("CLICKHOUSE_URL_2");
        let https_url = variable("CLICKHOUSE_HTTPS_URL");
        let ca_file = variable("CLICKHOUSE_CA_FILE");
        let balancer_url = variable("CLICKHOUSE_BALANCER_URL");
        let cluster = variable("CLICKHOUSE_CLUSTER");
        let variable = |name: &str| {
            variable(name).unwrap_or_else(|| {
                panic!(
                    "{name} is not set: these tests need a test bed. `scripts/test` starts one, \
                     or run `scripts/testbed start` and `eval \"$(scripts/testbed env)\"`"
                )
            })
        };
        Self {
            clickhouse_url: variable("CLICKHOUSE_URL"),
            second_url,
            https_url,
            ca_file,
            balancer_url,
            cluster,
            user: variable("CLICKHOUSE_USER"),
            password: variable("CLICKHOUSE_PASSWORD"),
            s3_endpoint: variable("S3_ENDPOINT"),
            bucket: variable("S3_BUCKET"),
            access_key_id: variable("S3_ACCESS_KEY_ID"),
            secret_access_key: variable("S3_SECRET_ACCESS_KEY"),
            collection: variable("S3_COLLECTION"),
            first: variable("FIRST_COLLECTION"),
            peer: variable("PEER_COLLECTION"),
        }
    }
}

/// The folder of the built programs: `LONGSHORE_BIN_DIR`, else beside this test's own.
pub(crate) fn bin_dir() -> PathBuf {
    if let Some(dir) = env::var_os("LONGSHORE_BIN_DIR") {
        return dir.into();
    }
    let exe = env::current_exe().expect("the test's own path");
    let deps = exe.parent().expect("target/<profile>/deps");
    deps.parent().expect("target/<profile>").to_owned()
}
