-- When the server was started, by its own clock.
SELECT toUnixTimestamp64Milli(now64(3) - toIntervalSecond(uptime())) AS started_ms
