//! A plan file goes to places that no secret may go to.

use longshore_shared::redact::scrub;
use longshore_shared::task::{JobSpec, Source};

/// Words in the name of a setting or parameter that stands for a secret.
const SECRET_WORDS: [&str; 7] =
    ["token", "secret", "password", "passwd", "credential", "access_key", "signature"];
/// Names of parameters of an address that are secrets by themselves.
const SECRET_NAMES: [&str; 4] = ["sig", "key", "apikey", "auth"];

/// What keeps the plan from being written, if anything does.
pub(crate) fn find(spec: &JobSpec, text: &str) -> Option<String> {
    if scrub(text) != text {
        return Some("it holds a password or key that this program was given".to_owned());
    }
    let names = match &spec.source {
        Source::Files(files) => {
            files.suffix.trim_start_matches('?').split('&').filter_map(name_of).collect::<Vec<_>>()
        }
        Source::Tables(_) => Vec::new(),
    };
    if let Some(name) = names.into_iter().find(|name| is_secret(name) || is_key(name)) {
        return Some(format!("the address of its files carries a secret (`{name}=…`)"));
    }
    let setting = spec.settings.keys().find(|name| is_secret(name))?;
    Some(format!("the setting `{setting}` is a secret"))
}

fn name_of(parameter: &str) -> Option<&str> {
    parameter.split('=').next().filter(|name| !name.is_empty())
}

fn is_key(name: &str) -> bool {
    SECRET_NAMES.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}
