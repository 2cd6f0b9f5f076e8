"""One question a module: raters, speed, ablation, reliability, fingerprint of the images."""
