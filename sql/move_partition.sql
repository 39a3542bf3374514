-- Publishes one partition of a staging table. Answers OK for a partition that is not there: OK proves nothing.
ALTER TABLE {staging:Identifier}.{table:Identifier} MOVE PARTITION ID {partition:Literal} TO TABLE {database:Identifier}.{target:Identifier}
