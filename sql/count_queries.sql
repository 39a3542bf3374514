-- What still runs of a task's older epochs (a MOVE cannot be killed, only waited for).
SELECT count() AS running FROM system.processes
WHERE startsWith(query_id, {prefix:String}) AND toUInt64OrZero(splitByChar('-', query_id)[3]) < {below:UInt64}
