"""Records in files: reads JSON lines, CSV, TSV and dumps with bounded memory, and describes the format of dumps.

- `lines`: lines of bytes, with the exact position of each, so that a reader can stop and resume.
- `delimited`, `jsonlines`, `dump`: rows of a source, and the lines that are none.
- `recipe`, `parts`: how a row becomes a key and a value.
- `chunks`: records in bounded chunks, each sorted by key.
"""
