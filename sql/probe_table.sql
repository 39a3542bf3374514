-- Does Keeper know this KeeperMap table?
SELECT count() AS rows FROM {control:Identifier}.{table:Identifier} WHERE 0
