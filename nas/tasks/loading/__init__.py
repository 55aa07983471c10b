"""How arrays, pictures and tables are read and checked before they become a data set; tasks lie above."""

PARTS = ("train", "val", "test")
