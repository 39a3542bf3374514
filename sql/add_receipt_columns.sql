-- What receipts of earlier versions do not have: the names of the parts in their target, and when their manifest was taken.
ALTER TABLE {control:Identifier}.receipts
    ADD COLUMN IF NOT EXISTS part_names Array(String),
    ADD COLUMN IF NOT EXISTS taken_at DateTime64(3, 'UTC')
