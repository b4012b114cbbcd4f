"""Many runs: what they are, and which are left to do."""
