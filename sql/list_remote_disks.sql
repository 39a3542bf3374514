-- Remote disks on which a table may put parts. `disk = …` of a table is a policy of its own.
SELECT name FROM system.disks
WHERE is_remote AND name IN
(
    SELECT arrayJoin(disks) FROM system.storage_policies
    WHERE policy_name =
        (SELECT storage_policy FROM system.tables WHERE database = {database:String} AND name = {table:String})
)
ORDER BY name
