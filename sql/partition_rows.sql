-- Which of these partitions of a table hold rows now.
SELECT partition_id AS partition, sum(rows) AS rows
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active
  AND partition_id IN {partitions:Array(String)}
GROUP BY partition_id
HAVING rows > 0
ORDER BY partition_id
