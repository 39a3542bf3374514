-- Waits until the server has taken up all parts of a table that are on its disk. After a start it answers before that:
-- parts that were merged away are taken up in the background, and system.parts does not list them until then.
SYSTEM WAIT LOADING PARTS {database:Identifier}.{table:Identifier}
