-- An empty table for the parts of a source. Nothing merges or expires in it, so its parts stay as they are, and its index holds all key columns.
CREATE TABLE {database:Identifier}.{table:Identifier} AS {source_database:Identifier}.{source:Identifier}
SETTINGS max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1,
         max_number_of_merges_with_ttl_in_pool = 0,
         primary_key_ratio_of_unique_prefix_values_to_skip_suffix_columns = 1
