-- What receipts of earlier versions do not have: the names of the parts in their target, when their manifest was taken,
-- and the rows of each part.
-- With defaults: workers of an earlier version go on writing receipts without these columns.
ALTER TABLE {control:Identifier}.receipts
    ADD COLUMN IF NOT EXISTS part_names Array(String) DEFAULT [],
    ADD COLUMN IF NOT EXISTS taken_at DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC'),
    ADD COLUMN IF NOT EXISTS part_rows Array(UInt64) DEFAULT []
