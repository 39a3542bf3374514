-- Identities of all parts that the staging tables of one task hold or held until lately.
SELECT DISTINCT toString(part.uuid) AS identity FROM system.parts AS part
WHERE part.database = {staging:String} AND startsWith(part.table, {prefix:String}) AND part.rows > 0
