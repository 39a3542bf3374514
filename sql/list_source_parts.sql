-- Active parts with rows of a table that is copied, with their sizes. Parts of lightweight updates (`patch-…`) hold no rows of their own.
SELECT name, cityHash64(name) AS name_hash, partition_id, rows,
       data_uncompressed_bytes AS uncompressed, data_compressed_bytes AS compressed,
       hash_of_all_files AS hash, has_lightweight_delete
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active AND rows > 0
ORDER BY partition_id, name
