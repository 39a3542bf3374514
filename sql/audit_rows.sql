-- Proof rows of one table that do not agree with it: all of their parts are still listed, with another number of rows.
SELECT task_id, any(receipt.rows_staged) AS staged, toUInt64(sum(there.rows)) AS found
FROM
(
    SELECT task_id, rows_staged, length(part_uuids) AS parts, arrayJoin(part_uuids) AS uuid
    FROM {control:Identifier}.receipts FINAL
    WHERE job_id = {job:String} AND target = {target:String} AND query_id != ''
) AS receipt
INNER JOIN
(
    SELECT part.uuid AS uuid, max(part.rows) AS rows FROM system.parts AS part
    WHERE part.database = {database:String} AND part.table = {table:String}
    GROUP BY part.uuid
) AS there ON there.uuid = receipt.uuid
GROUP BY task_id
HAVING count() = any(receipt.parts) AND found != staged
ORDER BY task_id
LIMIT 10
