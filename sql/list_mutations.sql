-- The mutations of a table that the server remembers, the oldest first. One that was killed changes nothing any more.
SELECT mutation_id AS id, command, toUInt8(NOT is_done AND NOT is_killed) AS is_open,
       toUInt64(greatest(parts_to_do, 0)) AS parts
FROM system.mutations
WHERE database = {database:String} AND table = {table:String}
ORDER BY create_time, id
