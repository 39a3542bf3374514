-- Puts a shadow's partition in the place of the target's, at once for every reader. It may be repeated while the shadow is unchanged.
ALTER TABLE {database:Identifier}.{target:Identifier} REPLACE PARTITION ID {partition:Literal} FROM {shadow_database:Identifier}.{shadow:Identifier}
