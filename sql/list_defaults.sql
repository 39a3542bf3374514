-- Columns of a table in order, with what stands there when a row has no value.
SELECT name, type, default_kind, default_expression FROM system.columns
WHERE database = {database:String} AND table = {table:String}
ORDER BY position
