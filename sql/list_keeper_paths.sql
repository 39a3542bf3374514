-- Paths in Keeper of staging twins that this server made and that none of its tables has any more: it was killed while
-- it made or dropped one. A folder that is not there is an error (999): nothing was ever staged.
SELECT name, toUInt64(greatest(0, dateDiff('second', mtime, now()))) AS age_secs
FROM system.zookeeper
WHERE path = concat('/longshore/staging/', {staging:String}, '/', toString(serverUUID()))
  AND concat(path, '/', name) NOT IN (SELECT zookeeper_path FROM system.replicas)
ORDER BY name
