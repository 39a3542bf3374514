-- Compare-and-set of one fact. Answers OK when nothing matched: read the row back.
ALTER TABLE {control:Identifier}.meta
UPDATE value = {value:String}
WHERE key = {key:String} AND value = {was:String}
