-- Proof rows that do not agree with their tables: all of their parts are still listed, with another number of rows. The
-- first one of each table. `targets` are the names that receipts have for the tables of `names`, in the same order.
SELECT receipt.target AS target, task_id, any(receipt.rows_staged) AS staged, toUInt64(sum(there.rows)) AS found
FROM
(
    SELECT task_id, target, rows_staged, length(part_uuids) AS parts, arrayJoin(part_uuids) AS uuid
    FROM {control:Identifier}.receipts FINAL
    WHERE job_id = {job:String} AND target IN {targets:Array(String)} AND query_id != ''
) AS receipt
INNER JOIN
(
    SELECT part.uuid AS uuid, max(part.rows) AS rows,
           {targets:Array(String)}[indexOf({names:Array(Tuple(String, String))}, (part.database, part.table))] AS target
    FROM system.parts AS part
    WHERE part.database IN {databases:Array(String)} AND part.table IN {tables:Array(String)}
      AND (part.database, part.table) IN {names:Array(Tuple(String, String))}
    GROUP BY part.uuid, part.database, part.table
) AS there ON there.uuid = receipt.uuid AND there.target = receipt.target
GROUP BY receipt.target, task_id
HAVING count() = any(receipt.parts) AND found != staged
ORDER BY target, task_id
LIMIT 1 BY target
