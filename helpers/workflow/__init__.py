"""What the Snakefile asks: settings a step depends on, notebooks run, results joined and kept."""
