-- For how many whole seconds the server has been running.
SELECT toUInt64(uptime()) AS seconds
