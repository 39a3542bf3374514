-- Two tables take each other's names, at once for every reader. Sent twice it swaps back: the shadow's name is a fence.
EXCHANGE TABLES {database:Identifier}.{target:Identifier} AND {shadow_database:Identifier}.{shadow:Identifier}
