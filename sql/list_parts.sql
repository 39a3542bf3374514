-- Active parts with rows of some staging tables. Rows = 0 are the empty covering parts that a MOVE leaves behind.
SELECT table, partition_id, name, toString(uuid) AS uuid, hash_of_all_files AS hash, rows
FROM system.parts
WHERE database = {staging:String} AND table IN {tables:Array(String)} AND active AND rows > 0
ORDER BY table, partition_id, name
