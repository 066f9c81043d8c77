"""The controller: places partitions on nodes.

`planner` decides and is pure: it runs the checkers on the analysis of a situation. `controller` reads the situation, has it
planned, and runs the steps. Every storage node has one; only the elected leader's acts.
"""
