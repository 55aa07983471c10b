"""Tasks: what a network is to learn, one file each."""
