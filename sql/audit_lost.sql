-- Parts of a job's receipts that were in a table, and that nothing in it stands for any more although the server was
-- started again since, or (`always`) although replicas gave parts up: what a power loss or a broken disk took. A part is there when it is listed by its identity, or when an active
-- part of a higher generation covers its block. A block number is given a second time only after its first part was
-- lost: then a later receipt names a part of the same name.
WITH
    now64(3, 'UTC') - toIntervalSecond(uptime()) + toIntervalSecond(2) AS started,
    (
        SELECT groupArray((part_name, last)) FROM
        (
            SELECT name AS part_name, max(receipt.taken_at) AS last
            FROM {control:Identifier}.receipts AS receipt FINAL ARRAY JOIN part_names AS name
            WHERE receipt.target = {target:String} AND receipt.query_id != '' AND name != ''
            GROUP BY name
            HAVING count() > 1
        )
    ) AS given_twice
SELECT toUInt64(uniqExact(task_id)) AS tasks, toUInt64(count()) AS parts, min(task_id) AS example
FROM
(
    SELECT receipt.task_id AS task_id, receipt.taken_at AS taken_at, uuid, name, splitByChar('_', name) AS words
    FROM {control:Identifier}.receipts AS receipt FINAL ARRAY JOIN part_uuids AS uuid, arrayResize(part_names, length(part_uuids)) AS name
    WHERE receipt.job_id = {job:String} AND receipt.target = {target:String} AND receipt.query_id != ''
      AND ({always:Bool} OR receipt.taken_at < started) AND name != ''
) AS held
LEFT JOIN
(
    SELECT partition_id, groupArray((min_block_number, max_block_number, part.name)) AS blocks
    FROM system.parts AS part
    WHERE part.database = {database:String} AND part.table = {table:String} AND part.active
    GROUP BY partition_id
) AS now_there ON now_there.partition_id = held.words[1]
WHERE held.uuid NOT IN
(
    SELECT part.uuid FROM system.parts AS part
    WHERE part.database = {database:String} AND part.table = {table:String}
      AND (part.active OR toUnixTimestamp(part.remove_time) > 0)
)
AND (
    NOT arrayExists(block -> block.1 <= toInt64(held.words[2]) AND block.2 >= toInt64(held.words[3]) AND block.3 != held.name, now_there.blocks)
    OR arrayExists(twice -> twice.1 = held.name AND twice.2 > held.taken_at, given_twice)
)
