-- Half of the fence: after it returned, no query of an older epoch changes a row any more.
-- Matches ids of this task that do not belong to the epoch now in force.
KILL QUERY WHERE user = currentUser() AND startsWith(query_id, {prefix:String}) AND NOT startsWith(query_id, {keep:String}) SYNC
