-- Merged parts of one table that have not the rows of all receipts whose blocks they cover. A name covers a block
-- number whether the part with that number was merged or not: a part that was gone before the merge is covered too.
-- Only parts of receipts that are older than the start of the server, unless `always`: while it runs it loses nothing by
-- itself, except from a replicated table whose Keeper counts lost parts.
--
-- Told is a merged part that covers a part of the job which the server has set aside as broken; and, of a table that
-- keeps each row, one with fewer rows than its receipts name. As many rows as they name tell that the part was merged
-- before its file broke, as long as no rows are known in it that were not counted. A part that was mutated since (its
-- data version is not its first block) may have fewer rows on purpose.
--
-- Receipts of other jobs count from the first one of this job on: the table has been the same one since then. A block
-- number can be given twice, after its part was lost: the later receipt counts. A folder that was set aside is not older
-- than the manifest of its part. A replica that sets a part aside fetches it again, unless Keeper has counted it lost.
-- Where a merged part broke the server takes up the parts it was made of, so a wider range (`maybe`) proves nothing.
WITH
    now64(3, 'UTC') - toIntervalSecond(uptime()) + toIntervalSecond(2) AS started,
    (
        SELECT min(taken_at) FROM {control:Identifier}.receipts FINAL
        WHERE job_id = {job:String} AND target = {target:String} AND query_id != ''
    ) AS first_taken,
    (
        SELECT groupArray((words[1], toInt64OrZero(words[2]), toInt64OrZero(words[3]), made)) FROM
        (
            SELECT splitByChar('_', replaceRegexpOne(name, '^broken(-on-start)?_', '')) AS words,
                   toUnixTimestamp(modification_time) AS made
            FROM system.detached_parts
            WHERE database = {database:String} AND table = {table:String} AND match(name, '^broken(-on-start)?_')
              AND
              (
                  SELECT count() FROM system.replicas
                  WHERE database = {database:String} AND table = {table:String} AND lost_part_count = 0
                    AND zookeeper_exception = '' AND NOT is_session_expired
              ) = 0
        )
    ) AS broken
SELECT merged, rows, received, toUInt64(length(aside)) AS set_aside, toUInt64(maybe) AS maybe, tasks,
       if(set_aside > 0, aside[1].1, example) AS example, if(set_aside > 0, aside[1].2, '') AS part
FROM
(
    SELECT now_there.name AS merged, any(now_there.rows) AS rows, any(now_there.is_mutated) AS is_mutated,
           sumIf(held.part_rows, held.counts AND NOT held.is_active) AS received, countIf(NOT held.counts) AS others,
           max(held.may_be_lost) AS is_asked, toUInt64(uniqExactIf(held.task_id, held.may_be_lost)) AS tasks,
           minIf(held.task_id, held.may_be_lost) AS example,
           groupArrayIf((held.task_id, held.name), held.may_be_lost AND NOT held.is_listed AND arrayExists(part ->
               part.1 = held.partition AND part.2 = held.first AND part.3 = held.last AND part.4 >= held.taken_s, broken)) AS aside,
           countIf(held.may_be_lost AND NOT held.is_listed AND arrayExists(part ->
               part.1 = held.partition AND part.2 <= held.first AND part.3 >= held.last
               AND part.3 - part.2 > held.last - held.first AND part.4 >= held.taken_s, broken)) AS maybe
    FROM
    (
        SELECT receipt.task_id AS task_id, receipt.taken_at AS taken_at, toUnixTimestamp(receipt.taken_at) AS taken_s, uuid, name,
               part_rows, splitByChar('_', name) AS words, words[1] AS partition, toInt64(words[2]) AS first, toInt64(words[3]) AS last,
               receipt.query_id != '' AND receipt.taken_at >= first_taken AS counts,
               counts AND receipt.job_id = {job:String} AND ({always:Bool} OR receipt.taken_at < started) AS may_be_lost,
               uuid IN
               (
                   SELECT part.uuid FROM system.parts AS part
                   WHERE part.database = {database:String} AND part.table = {table:String} AND part.active
               ) AS is_active,
               uuid IN
               (
                   SELECT part.uuid FROM system.parts AS part
                   WHERE part.database = {database:String} AND part.table = {table:String}
                     AND (part.active OR toUnixTimestamp(part.remove_time) > 0)
               ) AS is_listed
        FROM {control:Identifier}.receipts AS receipt FINAL
        ARRAY JOIN part_uuids AS uuid, arrayResize(part_names, length(part_uuids)) AS name,
                   arrayResize(receipt.part_rows, length(part_uuids)) AS part_rows
        WHERE receipt.target = {target:String} AND name != ''
        ORDER BY counts DESC, receipt.taken_at DESC
        LIMIT 1 BY name
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
WHERE is_asked AND
(
    ((set_aside > 0 OR maybe > 0) AND NOT ({keeps_rows:Bool} AND rows = received AND others = 0))
    OR ({keeps_rows:Bool} AND NOT is_mutated AND rows < received)
)
ORDER BY merged
LIMIT 10
