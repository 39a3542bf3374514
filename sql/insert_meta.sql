-- Strict: fails when the key is there, so the first writer wins.
INSERT INTO {control:Identifier}.meta (key, value) VALUES ({key:String}, {value:String})
