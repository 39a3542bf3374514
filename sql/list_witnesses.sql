-- Reads tasks by key for the closing audit, with a digest of each chunk instead of the chunk.
SELECT task_id, state, epoch, rows, files, bytes,
       reinterpretAsUInt64(substring(SHA256(chunk), 1, 8)) AS chunk_digest
FROM {control:Identifier}.tasks
WHERE task_id IN {tasks:Array(String)}
