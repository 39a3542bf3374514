-- Contents of the parts of one partition, those that were merged away included while the server lists them.
SELECT hash_of_all_files AS hash, toUInt8(active) AS is_active
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND partition_id = {partition:String} AND rows > 0
