"""Rendered pictures and clips with what is true about them."""
