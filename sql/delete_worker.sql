-- One key a request: multi-key DELETE is broken in the engine under test.
DELETE FROM {control:Identifier}.workers WHERE worker_id = {worker:String}
