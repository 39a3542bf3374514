-- Parts that the server has set aside in one table, because they are broken or somebody detached them.
SELECT count() AS parts FROM system.detached_parts
WHERE database = {database:String} AND table = {table:String}
