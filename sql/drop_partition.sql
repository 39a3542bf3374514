-- Takes a partition out of a snapshot.
ALTER TABLE {database:Identifier}.{table:Identifier} DROP PARTITION ID {partition:Literal}
