-- The server's limits on parts; a table may set its own.
SELECT toUInt64(sumIf(toUInt64OrZero(value), name = 'parts_to_delay_insert')) AS delay,
       toUInt64(sumIf(toUInt64OrZero(value), name = 'parts_to_throw_insert')) AS throw,
       toUInt64(sumIf(toUInt64OrZero(value), name = 'max_parts_in_total')) AS total
FROM system.merge_tree_settings
WHERE name IN ('parts_to_delay_insert', 'parts_to_throw_insert', 'max_parts_in_total')
