-- Which of these part identities are in a table, merged away (inactive) ones included.
-- `part.uuid` is the column: a bare `uuid` would be the text of the result, which matches nothing.
SELECT DISTINCT toString(part.uuid) AS uuid
FROM system.parts AS part
WHERE part.database = {database:String} AND part.table = {table:String} AND part.uuid IN {uuids:Array(UUID)}
