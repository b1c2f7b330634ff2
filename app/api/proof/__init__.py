"""What an outsider can check, over HTTP: the log's head and its tree, and the proof and the receipt of a consent."""
