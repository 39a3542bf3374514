-- Some tables, views and dictionaries as they are, with what tells which tables are read through them.
-- Filters on `database` and `name` alone are pushed down; the pairs then choose exactly.
SELECT database, name, engine, engine_full, toString(uuid) AS uuid, create_table_query, as_select,
       loading_dependencies_database, loading_dependencies_table
FROM system.tables
WHERE database IN {databases:Array(String)} AND name IN {tables:Array(String)}
  AND (database, name) IN {names:Array(Tuple(String, String))}
