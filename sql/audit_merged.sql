-- Merged parts of one table that have not the rows of all receipts whose blocks they cover. A name covers a block
-- number whether the part with that number was merged or not: a part that was gone before the merge is covered too.
-- Only parts of receipts that are older than the start of the server: while it runs it loses nothing by itself.
--
-- Told is a merged part that covers a part of the job which the server has set aside as broken, and, of a table that
-- keeps each row, one with fewer rows than the receipts. As many rows as the receipts say are proof that all are there:
-- then the part was merged before its file broke. Rows of others may stand in for rows that are lost, so more rows
-- prove nothing. A part that was mutated since (its data version is not its first block) may have fewer on purpose.
-- Receipts of other jobs count from the first one of this job on: the table has been the same one since then.
WITH
    now64(3, 'UTC') - toIntervalSecond(uptime()) + toIntervalSecond(2) AS started,
    (
        SELECT min(taken_at) FROM {control:Identifier}.receipts FINAL
        WHERE job_id = {job:String} AND target = {target:String} AND query_id != ''
    ) AS first_taken,
    (
        SELECT groupArray((assumeNotNull(partition_id), assumeNotNull(min_block_number), assumeNotNull(max_block_number)))
        FROM system.detached_parts
        WHERE database = {database:String} AND table = {table:String}
          AND reason LIKE '%broken%' AND min_block_number IS NOT NULL
    ) AS broken
SELECT merged, rows, received, toUInt64(length(aside)) AS set_aside, if(set_aside > 0, aside[1].1, example) AS example,
       if(set_aside > 0, aside[1].2, '') AS part
FROM
(
    SELECT now_there.name AS merged, any(now_there.rows) AS rows, sum(held.part_rows) AS received,
           any(now_there.is_mutated) AS is_mutated, max(held.is_own AND held.taken_at < started) AS may_be_lost,
           min(held.task_id) AS example,
           groupArrayIf((held.task_id, held.name),
               held.is_own AND held.taken_at < started
               AND arrayExists(part -> part.1 = held.partition AND part.2 <= held.first AND part.3 >= held.last, broken)
               AND held.uuid NOT IN
               (
                   SELECT part.uuid FROM system.parts AS part
                   WHERE part.database = {database:String} AND part.table = {table:String}
                     AND (part.active OR toUnixTimestamp(part.remove_time) > 0)
               )) AS aside
    FROM
    (
        SELECT receipt.job_id = {job:String} AS is_own, receipt.task_id AS task_id, receipt.taken_at AS taken_at, uuid, name, part_rows,
               splitByChar('_', name) AS words, words[1] AS partition, toInt64(words[2]) AS first, toInt64(words[3]) AS last
        FROM {control:Identifier}.receipts AS receipt FINAL
        ARRAY JOIN part_uuids AS uuid, arrayResize(part_names, length(part_uuids)) AS name,
                   arrayResize(receipt.part_rows, length(part_uuids)) AS part_rows
        WHERE receipt.target = {target:String} AND receipt.query_id != '' AND receipt.taken_at >= first_taken AND name != ''
    ) AS held
    ASOF INNER JOIN
    (
        SELECT partition_id, min_block_number, max_block_number, part.name AS name, part.rows AS rows,
               toInt64(part.data_version) != part.min_block_number AS is_mutated
        FROM system.parts AS part
        WHERE part.database = {database:String} AND part.table = {table:String} AND part.active
    ) AS now_there ON now_there.partition_id = held.partition AND held.first >= now_there.min_block_number
    WHERE held.last <= now_there.max_block_number AND held.name != now_there.name
    GROUP BY now_there.name
)
WHERE may_be_lost AND
(
    (set_aside > 0 AND NOT ({keeps_rows:Bool} AND rows = received))
    OR ({keeps_rows:Bool} AND NOT is_mutated AND rows < received)
)
ORDER BY merged
LIMIT 10
