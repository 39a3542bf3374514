-- What the server says of some tables: text of the definition, engine, who depends on them.
-- Filters on `database` and `name` alone are pushed down; the pairs then choose exactly.
SELECT database, name, engine, toString(uuid) AS uuid, create_table_query, as_select,
       dependencies_database, dependencies_table
FROM system.tables
WHERE database IN {databases:Array(String)} AND name IN {tables:Array(String)}
  AND (database, name) IN {names:Array(Tuple(String, String))}
