"""The run registry: a database that indexes what the result files say.

What belongs here: tables, migrations, registering stored results and failures, queries over them.
What does not: running anything, and anything that only the registry would know. Every row follows
from the files below the results path, so the registry can be thrown away and made anew.
"""
