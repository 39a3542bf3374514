-- What the server says of some tables: text of the definition, engine, who depends on them.
SELECT database, name, engine, toString(uuid) AS uuid, create_table_query, as_select,
       dependencies_database, dependencies_table
FROM system.tables
WHERE (database, name) IN {names:Array(Tuple(String, String))}
