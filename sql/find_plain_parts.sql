-- The same as find_parts, without a look at Keeper: for tables that are not replicated, as `engine` says.
SELECT part.database AS in_database, part.table AS in_table, toString(part.uuid) AS identity,
       toUInt8(max(part.active OR toUnixTimestamp(part.remove_time) > 0)) AS is_published,
       anyIf(part.name, part.active OR toUnixTimestamp(part.remove_time) > 0) AS name,
       part.engine AS engine
FROM system.parts AS part
WHERE part.database IN {databases:Array(String)} AND part.table IN {tables:Array(String)}
    AND (part.database, part.table) IN {names:Array(Tuple(String, String))}
    AND part.uuid IN {uuids:Array(UUID)}
GROUP BY part.database, part.table, part.uuid, part.engine
