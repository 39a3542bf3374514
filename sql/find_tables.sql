-- The names that tables of these UUIDs have now. `t.uuid` is the column: a bare `uuid` could be the text of the result.
SELECT t.database AS database, t.name AS name, toString(t.uuid) AS uuid FROM system.tables AS t
WHERE t.database IN {databases:Array(String)} AND t.uuid IN {uuids:Array(UUID)}
ORDER BY name
