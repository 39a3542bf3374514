-- The server's clock, and for how long it lists a part after a merge took it in (the default; a table may set its own).
SELECT toUnixTimestamp64Milli(now64(3)) AS now_ms,
       ifNull((SELECT toUInt64OrZero(value) FROM system.merge_tree_settings WHERE name = 'old_parts_lifetime'), 0) AS parts_lifetime_secs
