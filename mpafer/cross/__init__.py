"""A run on another data set's test images: `python -m mpafer.cross RUN`, and tables: `python -m mpafer.cross.table`."""
