-- Renews a worker's lease with the server's clock. Matches nothing when the row was removed: read it back.
ALTER TABLE {control:Identifier}.workers
UPDATE heartbeat = now64(3), draining = {draining:UInt8}
WHERE worker_id = {worker:String}
