-- Identities of all parts that the staging tables of one task hold or held until lately, with the table and the rows.
SELECT any(part.table) AS staged, toString(part.uuid) AS identity, max(part.rows) AS rows FROM system.parts AS part
WHERE part.database = {staging:String} AND startsWith(part.table, {prefix:String}) AND part.rows > 0
GROUP BY part.uuid
