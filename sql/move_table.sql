-- Gives a table another name, in another database too.
RENAME TABLE {database:Identifier}.{from:Identifier} TO {to_database:Identifier}.{to:Identifier}
