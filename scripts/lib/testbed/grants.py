"""What the user `longshore` may do: more than the lists of `longshore doctor --grants`, which are the
least (coordinator/src/grants/list.rs). Tests load into any table from any source as this user;
tests/e2e/doctor.rs checks that it lacks nothing, tests/e2e/grants.rs that the least is enough.

Not in the list because this engine needs no grant for it, or implies it: CREATE VIEW and DROP VIEW
(with CREATE TABLE and DROP TABLE), SHOW (with SELECT), CREATE TEMPORARY TABLE for table functions
(with CREATE TABLE), ALTER MOVE PARTITION, and killing queries of the same user. They stand here all
the same where another version asks for them.
"""

USER = "longshore"

# The control database and the staging databases: their names start with this.
OWN = "`longshore`*.*"

TABLE_ENGINES = [
    "Atomic",  # CREATE DATABASE ... ENGINE = Atomic asks for it as well
    "KeeperMap",
    "Null",
    "MergeTree",
    "AggregatingMergeTree",
    "CoalescingMergeTree",
    "CollapsingMergeTree",
    "GraphiteMergeTree",
    "ReplacingMergeTree",
    "SummingMergeTree",
    "VersionedCollapsingMergeTree",
]

# Databases of targets that a job exchanges or replaces partitions of: their names start with this.
SWAPPED = "`x_`*.*"

# Reading only: no WRITE.
READ_SOURCES = "READ ON S3, READ ON URL, READ ON FILE, READ ON REMOTE"
# What older versions know: reading and writing.
SOURCES = "S3, URL, FILE, REMOTE ON *.*"

GRANTS = [
    # Its own databases: create control tables, staging tables and view clones, rename and drop them.
    f"CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW ON {OWN}",
    # Fill staging; compare-and-set of control rows; settings such as old_parts_lifetime.
    f"SELECT, INSERT, ALTER UPDATE, ALTER SETTINGS, TRUNCATE, OPTIMIZE ON {OWN}",
    # MOVE PARTITION TO TABLE takes rows away here, so it asks for ALTER DELETE on the staging table.
    f"ALTER DELETE, ALTER MOVE PARTITION ON {OWN}",
    # Sources and targets anywhere, and the system tables: look, read, add rows. Nothing of CREATE,
    # DROP, ALTER or TRUNCATE: a target cannot be harmed. (ATTACH PARTITION FROM into a target would
    # ask for ALTER DELETE on the target.)
    "SHOW, SELECT, INSERT ON *.*",
    # An exchange makes and renames tables beside its target; a replacement takes old rows away.
    f"CREATE TABLE, DROP TABLE, ALTER DELETE ON {SWAPPED}",
    *(f"TABLE ENGINE ON {engine}" for engine in TABLE_ENGINES),
    # Sources read through a table function.
    "CREATE TEMPORARY TABLE ON *.*",
    READ_SOURCES,
    "NAMED COLLECTION ON *",
    # Durable jobs: everything is on disk before a receipt is written.
    "SYSTEM SYNC FILE CACHE ON *.*",
    # A server that was just started lists some parts late: waits for them.
    "SYSTEM WAIT LOADING PARTS ON *.*",
    # Only for queries of other users; a worker fences its own kind without it.
    "KILL QUERY ON *.*",
]

# Only where tables can be replicated.
REPLICATED_GRANTS = [
    # Twins of replicated targets, and control databases that are replicated.
    *(f"TABLE ENGINE ON Replicated{engine}" for engine in TABLE_ENGINES if engine.endswith("MergeTree")),
    "TABLE ENGINE ON Replicated",
    # ON CLUSTER: it asks for this beside what the statement asks for on one server.
    "CLUSTER ON *.*",
    # Wait until a replica has what the others have.
    "SYSTEM SYNC REPLICA ON *.*",
    # gc: what a server that was killed has left in Keeper.
    "SYSTEM DROP REPLICA ON *.*",
]


def grants(engine):
    """The list for a version of ClickHouse. Older ones cannot say all of it, and get more."""
    words = GRANTS + (REPLICATED_GRANTS if engine.is_server else [])
    if not engine.has_source_grants:
        words = [grant.replace(READ_SOURCES, SOURCES) for grant in words]
    if not engine.has_wildcard_grants:
        words = [grant.replace(OWN, "*.*").replace(SWAPPED, "*.*") for grant in words]
    return words
