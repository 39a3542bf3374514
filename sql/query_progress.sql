-- What the running loads of a job have read so far.
SELECT query_id, read_rows, read_bytes, written_rows, elapsed FROM system.processes WHERE startsWith(query_id, {prefix:String})
