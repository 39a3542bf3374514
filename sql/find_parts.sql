-- Which of these part identities are in their tables, whether they were published there, and under which name.
-- Merged parts are listed inactive for a while and have the time when they went. So are the parts
-- of a MOVE that failed and was rolled back, which were never visible: they have no such time.
-- `part.uuid` is the column: a bare `uuid` could be the text of the result, which matches nothing.
-- A replicated table that is read-only (its server has just started, Keeper is away) may list parts that Keeper does
-- not know, which go again: it is asked later. 242 is TABLE_IS_READ_ONLY.
WITH
(
    SELECT throwIf(count() > 0, 'the table is read-only: its parts are not compared with Keeper yet', toInt32(242))
    FROM system.replicas
    WHERE database IN {databases:Array(String)} AND table IN {tables:Array(String)}
        AND (database, table) IN {names:Array(Tuple(String, String))} AND is_readonly
) AS is_settled
SELECT part.database AS in_database, part.table AS in_table, toString(part.uuid) AS identity,
       toUInt8(max(part.active OR toUnixTimestamp(part.remove_time) > 0)) AS is_published,
       anyIf(part.name, part.active OR toUnixTimestamp(part.remove_time) > 0) AS name,
       part.engine AS engine
FROM system.parts AS part
WHERE part.database IN {databases:Array(String)} AND part.table IN {tables:Array(String)}
    AND (part.database, part.table) IN {names:Array(Tuple(String, String))}
    AND part.uuid IN {uuids:Array(UUID)} AND is_settled = 0
GROUP BY part.database, part.table, part.uuid, part.engine
SETTINGS allow_custom_error_code_in_throwif = 1
