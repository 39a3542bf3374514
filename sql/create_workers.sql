-- One row a worker process; `heartbeat` is the server's clock.
CREATE TABLE IF NOT EXISTS {control:Identifier}.workers
(
    worker_id String,
    heartbeat DateTime64(3, 'UTC'),
    lease_ms UInt64,
    slots UInt32,
    version String,
    host String,
    pid UInt32,
    draining UInt8,
    started_at DateTime64(3, 'UTC')
)
ENGINE = KeeperMap({path:Literal})
PRIMARY KEY worker_id
