"""Front ends: graphs of TFLM's signal operators that make a network's input of a signal, on the chip and here alike."""
