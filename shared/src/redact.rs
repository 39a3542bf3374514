//! Keeps secrets out of messages: every error text of the server passes through here.
//!
//! ClickHouse echoes a whole statement in a syntax error, key and secret included, so text that
//! came from a server is scrubbed before it reaches a log, a terminal or the task table.

use std::sync::{OnceLock, RwLock};

use secrecy::{ExposeSecret, SecretString};

/// What stands in the place of a secret.
pub const HIDDEN: &str = "[HIDDEN]";

/// Shorter values would turn ordinary words into `[HIDDEN]`.
const SECRET_CHARS_MIN: usize = 4;

static SECRETS: OnceLock<RwLock<Vec<SecretString>>> = OnceLock::new();

/// Remembers a secret for the life of the process, so that [`scrub`] can remove it.
pub fn register(secret: &SecretString) {
    if secret.expose_secret().len() < SECRET_CHARS_MIN {
        return;
    }
    let secrets = SECRETS.get_or_init(RwLock::default);
    let mut secrets = secrets.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !secrets.iter().any(|known| known.expose_secret() == secret.expose_secret()) {
        secrets.push(secret.clone());
    }
}

/// The text with every registered secret replaced by [`HIDDEN`].
pub fn scrub(text: &str) -> String {
    let Some(secrets) = SECRETS.get() else { return text.to_owned() };
    let secrets = secrets.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    secrets.iter().fold(text.to_owned(), |text, secret| {
        // A literal is quoted inside a statement, so its quoted form is hidden too.
        let plain = secret.expose_secret();
        let quoted = crate::sql::quote_literal(plain);
        text.replace(plain, HIDDEN).replace(&quoted[1..quoted.len() - 1], HIDDEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_a_registered_secret_in_plain_and_quoted_form() {
        register(&SecretString::from("pa'ss-canary".to_owned()));
        assert_eq!(scrub("x pa'ss-canary y"), "x [HIDDEN] y");
        assert_eq!(scrub(r"SELECT s3('u', 'pa\'ss-canary')"), "SELECT s3('u', '[HIDDEN]')");
    }
}
