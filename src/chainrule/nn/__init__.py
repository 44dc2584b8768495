"""Neural networks: layers as modules, and under them the functions they call (`nn.functional`)."""
