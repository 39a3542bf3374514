-- The parts that Keeper knows of one replica of a table: what that replica has in full.
SELECT name FROM system.zookeeper WHERE path = concat({path:String}, '/replicas/', {replica:String}, '/parts')
