//! Says why a secure connection did not come about, and what to do.

use std::error::Error;

use rustls::CertificateError as Certificate;

/// The cause and the remedy, when it was TLS that failed.
pub(super) fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = tls_error(error) {
            return Some(words(tls));
        }
        cause = error.source();
    }
    None
}

fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref::<rustls::Error>().or_else(|| {
        // An I/O error hides what it holds from `source`, and there is one within another.
        let inner = error.downcast_ref::<std::io::Error>()?.get_ref()?;
        tls_error(inner)
    })
}

fn words(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(problem) = error else {
        let is_plain = matches!(error, rustls::Error::InvalidMessage(_));
        let remedy = if is_plain {
            "this port does not speak TLS: give its secure port (8443), or an address with http://"
        } else {
            "check the TLS settings of the server, or of what stands before it"
        };
        return format!("no secure connection: {error}; {remedy}");
    };
    let remedy = match problem {
        Certificate::UnknownIssuer => {
            "its issuer is not trusted here: name the certificate of the issuing authority with \
             --ca-file or CLICKHOUSE_CA_FILE"
        }
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            "it is made for another name: use a name in the address that the certificate holds"
        }
        Certificate::Expired | Certificate::ExpiredContext { .. } => {
            "it has expired: renew it on the server, and check the clock of this machine"
        }
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            "it is not valid yet: check the clock of this machine"
        }
        _ => "have the server use a certificate that an authority has signed for its name",
    };
    format!("the server's certificate is refused: {remedy} ({error})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do() {
        let of = |error| {
            refusal(&std::io::Error::other(std::io::Error::other(error))).expect("a TLS error")
        };
        let certificate = |problem| of(rustls::Error::InvalidCertificate(problem));
        assert!(certificate(Certificate::UnknownIssuer).contains("--ca-file"));
        assert!(certificate(Certificate::Expired).contains("expired"));
        assert!(certificate(Certificate::NotValidYet).contains("clock"));
        assert!(certificate(Certificate::NotValidForName).contains("another name"));
        let plain = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert!(of(plain).contains("8443"));
        assert_eq!(refusal(&std::io::Error::other("cut")), None);
    }
}
