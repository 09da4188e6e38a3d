"""The run registry: a database that indexes what the result files say, and shows active runs.

What belongs here: tables, migrations, registering runs from when they are asked for until they are
stored or have failed, queries over them. What does not: running anything, and anything that only
the registry would know. Every row follows from the files below the results path, so the registry
can be deleted and rebuilt; rows of active runs come and go with these runs.

Callers need four modules: ``register`` opens a registry and brings ended runs into it, ``pending``
has the active runs, ``queries`` reads, ``database`` has transactions and errors.
"""
