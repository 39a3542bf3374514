-- Makes a database that keeps its tables over restarts; does nothing when it is there.
CREATE DATABASE IF NOT EXISTS {database:Identifier} ENGINE = Atomic
