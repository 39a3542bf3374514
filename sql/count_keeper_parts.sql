-- How many parts Keeper knows of such a path: a table that was being made has none.
SELECT count() AS parts FROM system.zookeeper WHERE path = concat({path:String}, '/replicas/only/parts')
