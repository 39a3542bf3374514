-- Every materialized view that this user may see; which table each writes is in its definition.
SELECT database, name, engine, toString(uuid) AS uuid, create_table_query, as_select,
       dependencies_database, dependencies_table
FROM system.tables
WHERE engine = 'MaterializedView'
ORDER BY database, name
