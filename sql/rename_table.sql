-- Gives a staging table the name of the epoch in force, so that a late statement of an older epoch misses it.
RENAME TABLE {database:Identifier}.{from:Identifier} TO {database:Identifier}.{to:Identifier}
