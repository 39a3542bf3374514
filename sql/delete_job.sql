-- One key a request, and only the row that was read; the last step of deleting a plan.
DELETE FROM {control:Identifier}.jobs WHERE job_id = {job:String} AND stamp = {stamp:String}
