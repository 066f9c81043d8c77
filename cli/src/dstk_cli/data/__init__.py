"""Commands that read, write and inspect the data of any cluster, through its router."""
