-- Fails when the table of receipts is one of an earlier version.
SELECT part_names, taken_at, part_rows FROM {control:Identifier}.receipts WHERE 0 FORMAT Null
