-- What a load is fitted to: version, time zone, threads, memory; which server it is, and since when it runs. An engine
-- without an identity of its own has that of the control database, once there is one.
SELECT version() AS version, timezone() AS timezone, currentUser() AS user,
       if(serverUUID() = toUUID('00000000-0000-0000-0000-000000000000'),
          ifNull((SELECT toString(uuid) FROM system.databases WHERE name = {control:String}), ''),
          toString(serverUUID())) AS server_uuid,
       toUInt64(uptime()) AS uptime_secs,
       toUInt64(getSetting('max_threads')) AS threads,
       ifNull((SELECT toUInt64OrZero(value) FROM system.server_settings WHERE name = 'max_server_memory_usage'), 0) AS memory_bytes
