-- One row a task. `chunk` and `manifest` are compressed; `longshore task ID` prints them.
-- Address rows by key only: any other filter makes the server list every key.
CREATE TABLE IF NOT EXISTS {control:Identifier}.tasks
(
    task_id String,
    format UInt8,
    state String,
    epoch UInt64,
    stamp String,
    worker String,
    endpoint String,
    attempts UInt32,
    deaths UInt32,
    not_before DateTime64(3, 'UTC'),
    chunk String,
    files UInt32,
    bytes UInt64,
    manifest String,
    rows UInt64,
    error String,
    changed_at DateTime64(3, 'UTC')
)
ENGINE = KeeperMap({path:Literal})
PRIMARY KEY task_id
