-- Is this query running right now on this server?
SELECT count() AS running FROM system.processes WHERE query_id = {query_id:String}
