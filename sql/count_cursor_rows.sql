-- Jobs that have a cursor; one row a plan.
SELECT job_id AS job, toUInt64(1) AS rows FROM {control:Identifier}.cursors
