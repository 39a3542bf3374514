-- Makes all proof rows of a job void: its plan is deleted, and the same plan, made again, has a life of its own.
-- Their time is the old one's and a little more, so that they replace it whatever the clocks say.
INSERT INTO {control:Identifier}.receipts
SELECT * REPLACE ('' AS query_id, published_at + toIntervalMillisecond(1) AS published_at)
FROM (SELECT * FROM {control:Identifier}.receipts FINAL WHERE job_id = {job:String} AND query_id != '')
