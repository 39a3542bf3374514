-- Everything in the staging database with its age, views first.
SELECT name, engine, toUInt64(greatest(0, dateDiff('second', metadata_modification_time, now()))) AS age_secs
FROM system.tables
WHERE database = {staging:String}
ORDER BY engine = 'MaterializedView' DESC, name
