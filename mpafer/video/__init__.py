"""Videos and cameras: frames with their times, faces followed from frame to frame, a timeline."""
