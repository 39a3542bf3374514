-- Fails when there is no table of manifests, or the table of receipts is one of an earlier version.
SELECT part_names, taken_at, part_rows FROM {control:Identifier}.receipts WHERE 0
UNION ALL
SELECT part_uuids::Array(String), taken_at, [rows] FROM {control:Identifier}.manifests WHERE 0
FORMAT Null
