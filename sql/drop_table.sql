-- Drops one staging table and waits until its files are gone.
DROP TABLE IF EXISTS {database:Identifier}.{table:Identifier} SYNC
