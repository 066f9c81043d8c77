"""What the ports of the storage node are plugged into: LevelDB and its in-memory twin, the data directory."""
