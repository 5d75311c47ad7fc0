"""The local cloud: MiniStack in one process on the loopback interface, plus what it lacks.

`lifecycle` starts and stops the server, `state` records it for other commands, and `processes`
handles processes and ports. `server` is the program, `app` puts its parts together, and
`front_door` verifies every request. Each module in `gaps` closes one gap between MiniStack and AWS,
always through `seams`.
"""
