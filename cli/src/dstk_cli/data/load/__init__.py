"""`dstk load`: JSON lines, CSV, TSV or a dump into records, with progress and resume. docs/loading.md has the rules.

Data flows one way: origin (bytes) -> lines -> delimited, jsonlines or dump (rows and bad records) -> recipe (row to record)
-> chunks (bounded, sorted) -> insert (bulk) -> checkpoint.
"""
