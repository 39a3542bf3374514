-- Why the server does not start a replicated table: the last such refusal, if it is of this table.
SELECT last_error_message AS words FROM system.errors
WHERE name = 'TOO_MANY_UNEXPECTED_DATA_PARTS'
    AND position(last_error_message, (
        SELECT toString(uuid) FROM system.tables WHERE database = {database:String} AND name = {table:String})) > 0
