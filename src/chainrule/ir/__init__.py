"""What the compiler works on: the graph of ops, and the loop nests below it."""
