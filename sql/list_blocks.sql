-- Where each part with rows stands: blocks of inserts and versions of changes grow, and merges keep them.
SELECT partition_id AS partition, rows, min_block_number AS first_block, max_block_number AS last_block,
       toInt64(data_version) AS version
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active AND rows > 0
ORDER BY partition_id, name
