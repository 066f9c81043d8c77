"""The controller: places partitions on nodes. `planner` decides and is pure; `loop` looks, has it decide, and acts."""
