//! The time by this machine's clock. It is shown to people; nothing is decided by it.

/// This machine's clock, for display only: no decision rests on it.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
