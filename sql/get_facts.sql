-- Point reads of the facts that every program looks at first.
SELECT key, value FROM {control:Identifier}.meta WHERE key IN ('version', 'environment')
