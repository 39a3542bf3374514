-- Tables of all databases that are named like a shadow, with their age and rows (none known for some engines).
SELECT t.database AS database, t.name AS name, t.engine AS engine, toString(t.uuid) AS uuid, t.total_rows AS rows,
       toUInt64(greatest(0, dateDiff('second', t.metadata_modification_time, now()))) AS age_secs
FROM system.tables AS t
WHERE match(t.name, '_shadow_[0-9a-f]{16}_[0-9]+_e[0-9]+$')
ORDER BY database, name
