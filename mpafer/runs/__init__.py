"""Many runs: what they are (`plan`), which ones an ablation takes, and processes that do them (`local`)."""
