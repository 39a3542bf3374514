-- Parts of a replicated table that no replica had any more, since it was made: each was replaced by a part without rows.
SELECT toUInt64(max(lost_part_count)) AS lost FROM system.replicas WHERE database = {database:String} AND table = {table:String}
