//! The names of all settings.

/// Every setting that a file can hold.
pub(super) const KEYS: [&str; 22] = [
    "server.url",
    "server.user",
    "server.password_file",
    "server.ca_file",
    "server.durable",
    "control.database",
    "control.staging_database",
    "worker.lease",
    "worker.slots",
    "worker.load_ahead",
    "worker.wait_when_busy",
    "worker.poll_max",
    "window.time_column",
    "window.chunk",
    "window.max",
    "window.min_chunk",
    "policy.block_overlap",
    "policy.require_dry_run",
    "policy.require_window",
    "policy.fail_check_on_pending",
    "log.format",
    "log.level",
];

/// What a section of one table can hold.
pub(super) const TABLE_KEYS: [&str; 7] = [
    "time_column",
    "chunk",
    "max",
    "min_chunk",
    "block_overlap",
    "require_dry_run",
    "require_window",
];
