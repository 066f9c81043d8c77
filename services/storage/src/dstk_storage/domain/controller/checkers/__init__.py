"""The checkers of the controller: each adds the steps and findings of one concern to a plan."""
