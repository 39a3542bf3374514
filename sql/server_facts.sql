-- What the load is fitted to: version, time zone, threads, memory.
SELECT version() AS version, timezone() AS timezone, toString(serverUUID()) AS server_uuid, currentUser() AS user,
       toUInt64(getSetting('max_threads')) AS threads,
       ifNull((SELECT toUInt64OrZero(value) FROM system.server_settings WHERE name = 'max_server_memory_usage'), 0) AS memory_bytes
