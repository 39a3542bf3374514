-- Drops one view clone; its target stays.
DROP VIEW IF EXISTS {database:Identifier}.{table:Identifier} SYNC
