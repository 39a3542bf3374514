-- The tables that a materialized view fires on: every table that names it as its dependent.
SELECT database, name, engine, toString(uuid) AS uuid, create_table_query, as_select,
       dependencies_database, dependencies_table
FROM system.tables
WHERE arrayExists((d, t) -> d = {database:String} AND t = {table:String}, dependencies_database, dependencies_table)
