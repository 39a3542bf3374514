-- The staging tables and view clones whose names start so, views first, with what fires on each; on which server that
-- is (as in server_facts), its time before anything was listed, and since when it runs.
SELECT name, engine, toString(uuid) AS uuid, dependencies_database, dependencies_table,
       if(serverUUID() = toUUID('00000000-0000-0000-0000-000000000000'),
          ifNull((SELECT toString(uuid) FROM system.databases WHERE name = {control:String}), ''),
          toString(serverUUID())) AS server_uuid,
       toUnixTimestamp64Milli(now64(3)) AS now_ms, toUInt64(uptime()) AS uptime_secs
FROM system.tables
WHERE database = {staging:String} AND startsWith(name, {prefix:String})
ORDER BY engine = 'MaterializedView' DESC, name
