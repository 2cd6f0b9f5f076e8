"""Programs around the study, one door each: python -m tools.NAME. helpers never imports them."""
