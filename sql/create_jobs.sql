-- One row a plan or job. `spec` is JSON text and never holds a secret.
CREATE TABLE IF NOT EXISTS {control:Identifier}.jobs
(
    job_id String,
    format UInt8,
    state String,
    epoch UInt64,
    stamp String,
    spec String,
    target String,
    tasks UInt32,
    segment_tasks UInt32,
    files UInt64,
    bytes UInt64,
    reason String,
    created_at DateTime64(3, 'UTC'),
    submitted_at DateTime64(3, 'UTC'),
    ended_at DateTime64(3, 'UTC')
)
ENGINE = KeeperMap({path:Literal})
PRIMARY KEY job_id
