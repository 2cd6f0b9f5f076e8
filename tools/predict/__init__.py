"""A trained network on new images: masks, overlays, measures; for a cine also an overlay video."""
