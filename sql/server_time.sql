-- The server's clock, to show beside this machine's: no decision rests on it.
SELECT toUnixTimestamp64Milli(now64(3)) AS now_ms
