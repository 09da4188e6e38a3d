"""Files as every package needs them: locks, work folders, writes that reach the disk.

What belongs here: how bytes get onto a disk whole, and how processes share folders. What does not:
what is in the files, and where a package keeps them.
"""
