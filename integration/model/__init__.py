"""What a history of operations must satisfy, whatever cluster it was recorded on."""
