-- The staging tables and view clones whose names start so, views first.
SELECT name, engine, toString(uuid) AS uuid FROM system.tables
WHERE database = {staging:String} AND startsWith(name, {prefix:String})
ORDER BY engine = 'MaterializedView' DESC, name
