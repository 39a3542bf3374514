-- Where Keeper has a replicated table, which of its replicas this server is, and which of them have a session.
SELECT zookeeper_name, zookeeper_path, replica_name, toUInt8(is_readonly) AS is_readonly,
       mapKeys(replica_is_active) AS replicas,
       arrayMap(active -> toUInt8(active > 0), mapValues(replica_is_active)) AS actives
FROM system.replicas WHERE database = {database:String} AND table = {table:String}
