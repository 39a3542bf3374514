-- The staging tables and view clones whose names start so, views first; and on which server that is (as in server_facts).
SELECT name, engine, toString(uuid) AS uuid,
       if(serverUUID() = toUUID('00000000-0000-0000-0000-000000000000'),
          ifNull((SELECT toString(uuid) FROM system.databases WHERE name = {control:String}), ''),
          toString(serverUUID())) AS server_uuid
FROM system.tables
WHERE database = {staging:String} AND startsWith(name, {prefix:String})
ORDER BY engine = 'MaterializedView' DESC, name
