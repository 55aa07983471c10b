"""What a network costs on a microcontroller, known before any training."""
