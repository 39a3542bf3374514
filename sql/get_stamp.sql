-- The stamp of one row of a control table: whose write is in force, without the rest of the row, which may be large.
SELECT stamp FROM {control:Identifier}.{table:Identifier} WHERE {column:Identifier} = {key:String}
