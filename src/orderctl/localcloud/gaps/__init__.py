"""What MiniStack lacks of each AWS service: a module a service, or a folder of them.

Each says what AWS does, with the page that says so, what MiniStack lacks, and which seam closes it.
"""
