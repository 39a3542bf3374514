-- Point read of one fact.
SELECT value FROM {control:Identifier}.meta WHERE key = {key:String}
