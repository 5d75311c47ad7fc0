"""The same functions as the guides write them: a layer for each concern, a call for each record.

Not deployed; `make bench` measures them beside ours. They do what the guides show and no more: no
cancel that overtakes its order, no repeated publishing after a crash between write and event.
"""
