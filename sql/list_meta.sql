-- Every fact; the table is small (one row a target that was ever loaded).
SELECT key, value FROM {control:Identifier}.meta
