//! Widths of numbers and times, out of the names and arguments of their types.

/// Signed, and how many bits.
pub(super) fn integer(name: &str) -> Option<(bool, u32)> {
    let (signed, bits) = match name.strip_prefix('U') {
        Some(rest) => (false, rest.strip_prefix("Int")?),
        None => (true, name.strip_prefix("Int")?),
    };
    Some((signed, bits.parse().ok()?))
}

/// Digits, and how many of them stand behind the point.
pub(super) fn decimal(arguments: &[String]) -> Option<(u32, u32)> {
    match arguments {
        [digits, scale] => Some((digits.parse().ok()?, scale.parse().ok()?)),
        _ => None,
    }
}

/// Digits of a second of a `DateTime64`.
pub(super) fn precision(arguments: &[String]) -> u32 {
    arguments.first().and_then(|digits| digits.parse().ok()).unwrap_or(3)
}
