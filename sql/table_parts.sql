-- How many active parts a table has, in all and in its fullest partition.
SELECT count() AS all, uniqExact(partition_id) AS partitions,
       ifNull((SELECT max(n) FROM (SELECT count() AS n FROM system.parts
               WHERE database = {database:String} AND table = {table:String} AND active
               GROUP BY partition_id)), 0) AS fullest
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active
