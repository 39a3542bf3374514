-- Engine and primary key of one table. Which columns are sorted from the greatest down is told by the engine's text alone.
SELECT engine, engine_full, primary_key
FROM system.tables
WHERE database = {database:String} AND name = {table:String}
