-- Facts about this installation: version of the control tables, identity of the environment.
-- KeeperMap: every server that shares the Keeper ensemble sees the same rows.
CREATE TABLE IF NOT EXISTS {control:Identifier}.meta
(
    key String,
    value String
)
ENGINE = KeeperMap({path:Literal})
PRIMARY KEY key
