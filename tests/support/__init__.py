"""What several tests use: miniature data sets, random CLIPs, runs of the real runner."""
