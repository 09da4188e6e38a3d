-- Read by PostgreSQL once, for a new volume: Dagster's tables are in a database of their own.
CREATE DATABASE dagster;
