-- Takes one of those paths away. The server refuses it for a path that one of its tables has, or that is in use.
SYSTEM DROP REPLICA 'only' FROM ZKPATH {path:Literal}
