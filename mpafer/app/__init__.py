"""The page in the browser: pictures, webcam and videos in, answers out."""
