//! Where `s3://` addresses lead, by the variables that every S3 tool reads.
//!
//! The address is written out when the plan is made, so workers and later runs need no variables.

use longshore_shared::source::LocationError;

const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The store of `s3://` addresses; without variables it is what the server makes of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct S3Endpoint {
    /// Name and value of the variable that names an endpoint.
    endpoint: Option<(&'static str, String)>,
    /// Name and value of the variable that names a region.
    region: Option<(&'static str, String)>,
}

impl S3Endpoint {
    /// From the environment; `lookup` gives the value of a variable.
    pub(crate) fn load(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let find = |names: [&'static str; 2]| {
            let value = |name: &'static str| {
                let value = lookup(name)?.trim().to_owned();
                (!value.is_empty()).then_some((name, value))
            };
            names.into_iter().find_map(value)
        };
        Self { endpoint: find(ENDPOINTS), region: find(REGIONS) }
    }

    /// The address in full, and the variable that it follows from; none when it stays as it is.
    ///
    /// # Errors
    /// [`LocationError`] when the variable or the address cannot be used.
    pub(crate) fn resolve(
        &self,
        address: &str,
    ) -> Result<Option<(String, &'static str)>, LocationError> {
        let Some(rest) = ["s3://", "s3a://"].iter().find_map(|head| address.strip_prefix(head))
        else {
            return Ok(None);
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(LocationError::NoHost(address.to_owned()));
        }
        if let Some((name, endpoint)) = &self.endpoint {
            if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
                return Err(LocationError::Endpoint { name, value: endpoint.clone() });
            }
            let endpoint = endpoint.trim_end_matches('/');
            return Ok(Some((format!("{endpoint}/{bucket}/{key}"), name)));
        }
        let Some((name, region)) = &self.region else { return Ok(None) };
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        // A certificate for *.s3.… does not hold for a bucket with a dot in its name.
        let full = if bucket.contains('.') {
            format!("https://s3.{region}.{domain}/{bucket}/{key}")
        } else {
            format!("https://{bucket}.s3.{region}.{domain}/{key}")
        };
        Ok(Some((full, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(variables: &[(&str, &str)], address: &str) -> Option<(String, &'static str)> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        S3Endpoint::load(lookup).resolve(address).unwrap()
    }

    fn full(variables: &[(&str, &str)], address: &str) -> Option<String> {
        resolved(variables, address).map(|(address, _)| address)
    }

    #[test]
    fn an_endpoint_is_followed_and_the_one_for_s3_comes_first() {
        let general = ("AWS_ENDPOINT_URL", "http://minio:9000/");
        let own = ("AWS_ENDPOINT_URL_S3", "https://store");
        let region = ("AWS_REGION", "eu-west-1");
        assert_eq!(
            resolved(&[general, region], "s3://b/a/*.csv"),
            Some(("http://minio:9000/b/a/*.csv".to_owned(), "AWS_ENDPOINT_URL"))
        );
        assert_eq!(full(&[general, own], "s3a://b/x"), Some("https://store/b/x".to_owned()));
    }

    #[test]
    fn a_region_is_followed_where_no_endpoint_is_named() {
        let of = |region, address| full(&[("AWS_DEFAULT_REGION", region)], address);
        let full = |text: &str| Some(text.to_owned());
        let own = resolved(&[("AWS_REGION", "eu-west-1")], "s3://b/a/x");
        let europe = full("https://b.s3.eu-west-1.amazonaws.com/a/x");
        assert_eq!(of("eu-west-1", "s3://b/a/x"), europe);
        assert_eq!(own.map(|(address, _)| address), europe);
        let dotted = full("https://s3.eu-west-1.amazonaws.com/b.c/x");
        assert_eq!(of("eu-west-1", "s3://b.c/x"), dotted);
        let china = full("https://b.s3.cn-north-1.amazonaws.com.cn/x");
        assert_eq!(of("cn-north-1", "s3://b/x"), china);
    }

    #[test]
    fn other_addresses_and_empty_variables_change_nothing() {
        assert_eq!(full(&[("AWS_REGION", "r")], "https://host/x"), None);
        assert_eq!(full(&[("AWS_REGION", "r")], "key/*.csv"), None);
        assert_eq!(full(&[("AWS_ENDPOINT_URL", " ")], "s3://b/x"), None);
        assert_eq!(full(&[], "s3://b/x"), None);
    }

    #[test]
    fn an_endpoint_without_a_scheme_is_refused_by_name() {
        let endpoint = S3Endpoint::load(|name| (name == ENDPOINTS[1]).then(|| "minio:9000".into()));
        let error = endpoint.resolve("s3://b/x").unwrap_err().to_string();
        assert!(error.contains("AWS_ENDPOINT_URL") && error.contains("http://"), "{error}");
        assert!(S3Endpoint::default().resolve("s3:///x").is_err());
    }
}
