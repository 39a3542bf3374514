-- What tables that do not set it themselves have for a setting of the MergeTree family.
SELECT value FROM system.merge_tree_settings WHERE name = {name:String}
