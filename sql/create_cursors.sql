-- One row a job: how far its segments were opened, which are finished, and their sums.
-- This is what makes a claim and a status read cost the same at 1,000 and 200,000 tasks.
CREATE TABLE IF NOT EXISTS {control:Identifier}.cursors
(
    job_id String,
    format UInt8,
    epoch UInt64,
    stamp String,
    frontier UInt32,
    finished String,
    done UInt64,
    failed UInt64,
    quarantined UInt64,
    rows UInt64,
    bytes UInt64
)
ENGINE = KeeperMap({path:Literal})
PRIMARY KEY job_id
