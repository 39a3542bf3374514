-- The statements of one task by their ids, as the server's log knows them. For people only.
SELECT query_id,
       argMax(toString(type), event_time_microseconds) AS last_type,
       argMax(q.exception, event_time_microseconds) AS last_exception,
       toUnixTimestamp64Milli(toDateTime64(min(query_start_time_microseconds), 3)) AS started_ms,
       max(query_duration_ms) AS elapsed_ms,
       max(q.read_rows) AS rows_read, max(q.read_bytes) AS bytes_read,
       max(q.written_rows) AS rows_written, max(memory_usage) AS memory,
       if(endsWith(query_id, '-load'), any(query), '') AS text
FROM system.query_log AS q
WHERE event_date >= toDate(now() - {seconds:UInt32}) AND event_time >= now() - {seconds:UInt32}
  AND startsWith(query_id, {prefix:String}) AND exception_code != {already_running:Int32}
GROUP BY query_id
ORDER BY started_ms DESC, query_id DESC
LIMIT {limit:UInt32}
