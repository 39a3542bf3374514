-- The running statements of one task. For people only.
SELECT query_id, toUInt64(elapsed * 1000) AS elapsed_ms, toUnixTimestamp64Milli(now64(3)) AS now_ms,
       read_rows, read_bytes, written_rows, toUInt64(greatest(peak_memory_usage, 0)) AS memory, query
FROM system.processes
WHERE startsWith(query_id, {prefix:String})
ORDER BY query_id
