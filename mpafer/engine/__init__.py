"""What runs an experiment: host.py picks the engine, builtin/ is ours, the other modules serve both."""
