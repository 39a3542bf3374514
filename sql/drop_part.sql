-- Drops the staged twin of a part that is already in the target.
ALTER TABLE {staging:Identifier}.{table:Identifier} DROP PART {part:Literal}
