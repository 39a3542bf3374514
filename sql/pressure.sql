-- What a server has to do besides loads. A row for each of these tables that has parts: how many the fullest partition
-- has, and in each row the same of the server: its limit before inserts slow down, the memory of all queries that this
-- user may see and its limit, the longest replication queue of these tables.
SELECT in_database, in_table, max(parts) AS fullest,
       toUInt64(ifNull((SELECT sum(toUInt64OrZero(value)) FROM system.merge_tree_settings WHERE name = 'parts_to_delay_insert'), 0)) AS delay,
       toUInt64(ifNull((SELECT sum(greatest(memory_usage, 0)) FROM system.processes), 0)) AS memory,
       toUInt64(ifNull((SELECT sum(toUInt64OrZero(value)) FROM system.server_settings WHERE name = 'max_server_memory_usage'), 0)) AS memory_max,
       toUInt64(ifNull((SELECT max(queue_size) FROM system.replicas
                        WHERE database IN {databases:Array(String)} AND table IN {tables:Array(String)}
                          AND (database, table) IN {names:Array(Tuple(String, String))}), 0)) AS queue
FROM
(
    SELECT part.database AS in_database, part.table AS in_table, part.partition_id AS partition_id, count() AS parts
    FROM system.parts AS part
    WHERE part.database IN {databases:Array(String)} AND part.table IN {tables:Array(String)}
      AND (part.database, part.table) IN {names:Array(Tuple(String, String))} AND part.active
    GROUP BY part.database, part.table, part.partition_id
)
GROUP BY in_database, in_table
ORDER BY in_database, in_table
