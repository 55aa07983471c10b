"""How arrays and pictures are read and checked before they become a data set; the tasks are in the folder above."""

PARTS = ("train", "val", "test")
