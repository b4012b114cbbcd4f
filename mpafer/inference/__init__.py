"""What a finished run is used for: its model, its answers, its test on another data set."""
