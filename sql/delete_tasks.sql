-- Rows of a job that is being deleted, with the stamps that were read before: nobody changes them any
-- more, and only for such rows may one request name several keys (ENGINE C).
DELETE FROM {control:Identifier}.tasks
WHERE task_id IN {tasks:Array(String)} AND stamp IN {stamps:Array(String)}
