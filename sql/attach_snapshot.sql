-- Links all parts of a source into its snapshot, as of one moment. Their files are shared, so this takes no space.
ALTER TABLE {database:Identifier}.{table:Identifier} ATTACH PARTITION ALL FROM {source_database:Identifier}.{source:Identifier}
