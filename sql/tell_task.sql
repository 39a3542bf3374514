-- What hinders a task that is being published, for people. It changes no state: epoch and stamp stay, so
-- whoever acts on the task goes on undisturbed, and a row that somebody else has changed is left alone.
ALTER TABLE {control:Identifier}.tasks
UPDATE error = {error:String}
WHERE task_id = {task:String} AND epoch = {epoch:UInt64} AND stamp = {stamp:String}
