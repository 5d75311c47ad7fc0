"""The local cloud: MiniStack in one process on the loopback interface, and what it lacks.

`server.py` is the program, `app.py` puts the parts together, and every other module closes one
gap between MiniStack and AWS. Each of those opens with what is missing, what AWS does, and how
the gap is closed. A seam in MiniStack is always taken through `seams.py`.
"""
