//! Objects under any key: a small signer, because odd names are what some tests are about.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use ureq::{Agent, http};

use crate::bed::Bed;
use crate::http::{agent, encode, send};

/// SeaweedFS takes any region, but it is part of the signature.
const REGION: &str = "us-east-1";

/// The bucket of the bed.
pub(crate) struct Bucket {
    endpoint: String,
    name: String,
    access_key_id: String,
    secret_access_key: String,
    agent: Agent,
}

impl Bucket {
    pub(crate) fn of(bed: &Bed) -> Self {
        Self {
            endpoint: bed.s3_endpoint.clone(),
            name: bed.bucket.clone(),
            access_key_id: bed.access_key_id.clone(),
            secret_access_key: bed.secret_access_key.clone(),
            agent: agent(),
        }
    }

    /// Writes an object.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let (status, body) = self.request("PUT", key, bytes);
        assert_eq!(status, 200, "PUT {key}: {}", String::from_utf8_lossy(&body));
    }

    /// Deletes an object; one that is not there is no error in S3.
    pub(crate) fn delete(&self, key: &str) {
        let (status, body) = self.request("DELETE", key, b"");
        assert!(status < 300, "DELETE {key}: {}", String::from_utf8_lossy(&body));
    }

    fn request(&self, method: &str, key: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let path = format!("/{}/{}", self.name, encode(key, b"/"));
        let host = self.endpoint.trim_start_matches("http://");
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let digest = hex(&Sha256::digest(body));
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n\n{signed}\n{digest}"
        );
        let scope = format!("{}/{REGION}/s3/aws4_request", &now[..8]);
        let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let first = format!("AWS4{}", self.secret_access_key).into_bytes();
        let key = [&now[..8], REGION, "s3", "aws4_request"]
            .iter()
            .fold(first, |key, part| hmac(&key, part));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={}",
            self.access_key_id,
            hex(&hmac(&key, &text)),
        );
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("x-amz-content-sha256", digest)
            .header("x-amz-date", now)
            .header("authorization", authorization)
            .body(body.to_vec())
            .expect("a well-formed request");
        send(&self.agent, request).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
