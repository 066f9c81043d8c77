"""What operators ask and change: nodes, partitions, the controller."""
