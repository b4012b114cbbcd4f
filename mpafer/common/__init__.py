"""What every room uses: options, the config tree, files, processes, seeds, errors."""
