-- Which of these part identities are in a table, merged away (inactive) ones included.
SELECT DISTINCT toString(uuid) AS uuid
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND uuid IN {uuids:Array(UUID)}
