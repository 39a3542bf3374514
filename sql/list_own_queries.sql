-- Running statements whose id has the form of a task's: <job>-<ordinal>-<epoch>-<step>.
SELECT query_id, user, elapsed, read_rows, written_rows
FROM system.processes
WHERE match(query_id, '^[0-9a-f]{16}-[0-9]{7,}-[0-9]+-') AND startsWith(query_id, {prefix:String})
ORDER BY query_id
