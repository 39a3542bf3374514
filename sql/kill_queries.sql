-- Half of the fence: after it returned, no query of an older epoch changes a row any more.
-- Ids are <job>-<ordinal>-<epoch>-<step>: a worker that was fenced off itself must not kill newer epochs.
KILL QUERY WHERE user = currentUser() AND startsWith(query_id, {prefix:String})
    AND toUInt64OrZero(splitByChar('-', query_id)[3]) < {below:UInt64} SYNC
