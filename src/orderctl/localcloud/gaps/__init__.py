"""What MiniStack lacks, by AWS service: a module or a package for each.

Each module says what MiniStack lacks, what AWS does (with the page that documents it), and which
seam closes the gap.
"""
