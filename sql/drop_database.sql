-- Drops the database of a probe with what is in it.
DROP DATABASE IF EXISTS {database:Identifier} SYNC
