-- Lightweight updates of a table that are not applied: parts of partitions `patch-<hash>-<partition>` that are newer than a part
-- of the partition that they change. One that is applied to all parts is listed until the server clears it.
SELECT changed AS partition, sumIf(rows, is_patch) AS rows
FROM
(
    SELECT startsWith(partition_id, 'patch-') AS is_patch, rows, toInt64(data_version) AS version,
           if(is_patch, substring(partition_id, 40), partition_id) AS changed
    FROM system.parts
    WHERE database = {database:String} AND table = {table:String} AND active AND rows > 0
)
GROUP BY changed
HAVING countIf(is_patch) > 0 AND countIf(NOT is_patch) > 0 AND maxIf(version, is_patch) > minIf(version, NOT is_patch)
ORDER BY changed
