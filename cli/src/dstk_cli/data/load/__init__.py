"""`dstk load`: JSON lines or CSV into records, with progress and resume.

Data flows one way: source (lines, rows) -> recipe (row to record) -> chunks (bounded, sorted) -> insert (bulk) ->
checkpoint.
"""
