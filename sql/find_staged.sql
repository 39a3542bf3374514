-- Parts with rows in the staging database that have one of these identities, with their tables.
SELECT toString(part.uuid) AS identity, part.table AS staged_in, part.rows AS rows
FROM system.parts AS part
WHERE part.database = {staging:String} AND part.active AND part.rows > 0 AND part.uuid IN {uuids:Array(UUID)}
ORDER BY staged_in, identity
