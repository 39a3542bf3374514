-- Parts with rows in the staging tables whose names start so: a set that was just made has none.
SELECT count() AS parts FROM system.parts
WHERE database = {staging:String} AND startsWith(table, {prefix:String}) AND active AND rows > 0
