//! Checks the server's address.

use url::{Host, Url};

/// The address as the client uses it, or what is wrong with it and what to write instead.
///
/// # Errors
/// No message repeats the address: it may hold a password.
pub fn check(text: &str) -> Result<String, (String, Option<String>)> {
    let example = || Some("write it like http://HOST:8123 or https://HOST:8443".to_owned());
    let text = text.trim();
    if !text.contains("://") {
        return Err(("has no scheme".to_owned(), example()));
    }
    let url =
        Url::parse(text).map_err(|error| (format!("is not an address: {error}"), example()))?;
    if !url.username().is_empty() || url.password().is_some() {
        let help = "put the user into --user or CLICKHOUSE_USER, and the password into \
                    CLICKHOUSE_PASSWORD or a file named by --password-file";
        return Err(("must not hold a user name or password".to_owned(), Some(help.to_owned())));
    }
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("`{}://` is not supported: Longshore speaks HTTP", url.scheme());
        return Err((message, example()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(("names no host".to_owned(), example()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let message = "must end before `?` or `#`".to_owned();
        return Err((message, Some("user, password and settings are given elsewhere".to_owned())));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The host, when what is sent to it can be read on its way there: plain HTTP to another machine.
pub(super) fn plain_host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    (!is_here).then(|| url.host_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{check, plain_host};

    #[test]
    fn plain_http_is_safe_on_this_machine_only() {
        for url in ["http://localhost:8123", "http://127.0.0.2", "http://[::1]:1", "https://ch:1"] {
            assert_eq!(plain_host(url), None, "{url}");
        }
        assert_eq!(plain_host("http://clickhouse:8123").as_deref(), Some("clickhouse"));
        assert_eq!(plain_host("http://10.0.0.7:8123").as_deref(), Some("10.0.0.7"));
    }

    #[test]
    fn takes_plain_and_secure_addresses() {
        assert_eq!(check("http://localhost:8123/").unwrap(), "http://localhost:8123");
        assert_eq!(check(" https://ch.example.com ").unwrap(), "https://ch.example.com");
        assert_eq!(check("http://[::1]:8123/proxy/").unwrap(), "http://[::1]:8123/proxy");
    }

    #[test]
    fn refuses_what_would_leak_or_not_work_and_never_repeats_it() {
        for (text, says) in [
            ("localhost:8123", "no scheme"),
            ("http://", "not an address"),
            ("http://u:canary@h:8123", "user name or password"),
            ("http://canary@h:8123", "user name or password"),
            ("http://h:8123/?password=canary", "must end before"),
            ("clickhouse://h:9000", "speaks HTTP"),
            ("clickhouse://u:canary@h:9000", "user name or password"),
            ("http://h:99999/canary", "not an address"),
        ] {
            let (message, help) = check(text).unwrap_err();
            assert!(message.contains(says), "{text}: {message}");
            let all = format!("{message} {}", help.unwrap_or_default());
            assert!(!all.contains("canary"), "{all}");
        }
    }
}
