-- Refreshable views: they are on nobody's dependency list.
SELECT database, name, toString(uuid) AS uuid, create_table_query, as_select FROM system.tables
WHERE (database, name) IN (SELECT database, view FROM system.view_refreshes)
