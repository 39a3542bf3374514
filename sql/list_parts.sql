-- Active parts with rows of one table. Rows = 0 are the empty covering parts that a MOVE leaves behind.
SELECT partition_id, name, toString(uuid) AS uuid, hash_of_all_files AS hash, rows
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active AND rows > 0
ORDER BY partition_id, name
