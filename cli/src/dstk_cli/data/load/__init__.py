"""`dstk load`: loads JSON lines, CSV, TSV or a dump, with progress and resume. docs/loading.md has the rules.

Data flows one way: origin (bytes) -> lines -> delimited, jsonlines or dump (rows and bad records) -> recipe (row to record)
-> chunks (bounded, sorted) -> loader (bulk insert) -> checkpoint.
"""
