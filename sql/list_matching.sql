-- The tables that Merge reads: those whose database and name match two regular expressions.
SELECT database, name FROM system.tables
WHERE match(database, {database:String}) AND match(name, {table:String})
