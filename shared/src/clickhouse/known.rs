//! The settings that a server knows.

use std::collections::HashSet;

/// Names of the settings that a server knows: one that it does not know fails a whole statement.
#[derive(Debug, Clone, Default)]
pub struct Known(pub(super) Option<HashSet<String>>);

impl Known {
    /// Does the server know this setting? Yes, where the server could not be asked.
    pub fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(name))
    }
}
