-- One key a request, and only the row that was read.
DELETE FROM {control:Identifier}.cursors WHERE job_id = {job:String} AND stamp = {stamp:String}
