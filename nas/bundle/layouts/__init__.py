"""Layouts of a bundle, one file each: `LAYOUT` in a module, its name in `nas.bundle.layout.LAYOUTS`."""
