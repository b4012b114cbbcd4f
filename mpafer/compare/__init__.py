"""Methods side by side, from their runs' results alone: `python -m mpafer.compare RUNS --out FOLDER`."""
