-- The identity of the environment as this server noted it, for the day when Keeper has lost it.
SELECT message AS value
FROM {control:Identifier}.attempts
WHERE job_id = '' AND task_id = '' AND event = 'environment'
ORDER BY at DESC
LIMIT 1
