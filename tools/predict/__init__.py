"""A trained network on new images: masks, overlays, areas; for a cine also an overlay video."""
