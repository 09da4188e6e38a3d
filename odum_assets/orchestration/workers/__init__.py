"""Runs on many machines: Dagster's launcher of Celery tasks, and the workers that carry them out.

What belongs here: what dagster-celery lacks, noticing that a worker is gone. Nothing else imports
it: ``launcher`` is named in a ``dagster.yaml``, ``app`` in the command of a worker. It needs the
extra ``cluster``.
"""
