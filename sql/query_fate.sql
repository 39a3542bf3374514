-- How a query that began after a certain time ended, by the server's log. The refusal of a duplicate is no ending of the first one.
SELECT toString(type) AS type, exception_code AS code, exception, read_rows, written_rows
FROM system.query_log
WHERE event_date >= toDate(now() - {seconds:UInt32}) AND event_time >= now() - {seconds:UInt32}
  AND query_id = {query_id:String} AND type != 'QueryStart' AND exception_code != {already_running:Int32}
  AND query_start_time_microseconds >= fromUnixTimestamp64Milli({not_before:Int64})
ORDER BY event_time_microseconds DESC
LIMIT 1
