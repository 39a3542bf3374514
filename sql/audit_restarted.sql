-- Has the server been started since it wrote a receipt of this job? The same two seconds of margin as in the looks for
-- what was lost. Receipts of earlier versions have no time: they are older than everything.
-- Only after a start are the parts looked at that were set aside. Who may not do that is to learn it before: so every
-- audit asks, for a database that cannot be.
WITH now64(3, 'UTC') - toIntervalSecond(uptime()) + toIntervalSecond(2) AS started
SELECT toUInt64(count()) AS older FROM {control:Identifier}.receipts FINAL
WHERE job_id = {job:String} AND query_id != '' AND taken_at < started
  AND (SELECT count() FROM system.detached_parts WHERE database = '') = 0
