-- Names of the settings that the server knows.
SELECT name FROM system.settings
