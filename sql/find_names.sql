-- The names that parts have in a table, those that were merged away included while the server lists them.
SELECT toString(part.uuid) AS identity, any(part.name) AS name
FROM system.parts AS part
WHERE part.database = {database:String} AND part.table = {table:String} AND part.uuid IN {uuids:Array(UUID)}
  AND (part.active OR toUnixTimestamp(part.remove_time) > 0)
GROUP BY part.uuid
