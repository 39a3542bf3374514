-- Which of these part identities are in a table, and whether they were published there.
-- Merged parts are listed inactive for a while and have the time when they went. So are the parts
-- of a MOVE that failed and was rolled back, which were never visible: they have no such time.
-- `part.uuid` is the column: a bare `uuid` could be the text of the result, which matches nothing.
SELECT toString(part.uuid) AS identity,
       toUInt8(max(part.active OR toUnixTimestamp(part.remove_time) > 0)) AS is_published
FROM system.parts AS part
WHERE part.database = {database:String} AND part.table = {table:String} AND part.uuid IN {uuids:Array(UUID)}
GROUP BY part.uuid
