-- What replicated tables that do not set it themselves have for a setting of the MergeTree family.
SELECT value FROM system.replicated_merge_tree_settings WHERE name = {name:String}
