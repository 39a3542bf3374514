-- Bytes of the columns of each part whose rows differ in size, without what their substreams hold.
SELECT cityHash64(name) AS part, column, part_type = 'Wide' AS is_wide,
       NOT match(type, '^(Nullable\\()?String') AS is_list,
       toUInt64(greatest(0, toInt64(column_data_uncompressed_bytes) - toInt64(arraySum(subcolumns.data_uncompressed_bytes)))) AS bytes,
       subcolumns.names AS inner_names, subcolumns.data_uncompressed_bytes AS inner_bytes
FROM system.parts_columns
WHERE database = {database:String} AND table = {table:String} AND active AND rows > 0
  AND match(replaceAll(type, 'FixedString', ''), 'String|Array|Map|JSON|Object|Dynamic|Variant|AggregateFunction')
