-- The UUIDs of tables by their names. The text of a definition, which costs the server more than all of this, is left out.
SELECT database, name, toString(t.uuid) AS uuid
FROM system.tables AS t
WHERE database IN {databases:Array(String)} AND name IN {tables:Array(String)}
  AND (database, name) IN {names:Array(Tuple(String, String))}
