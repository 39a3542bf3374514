-- The engine of a database.
SELECT engine FROM system.databases WHERE name = {database:String}
