"""The page: jinja2 templates, its style and its script."""
