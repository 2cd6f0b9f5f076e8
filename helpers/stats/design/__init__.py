"""Planning the next study: false alarms of an analysis, patients needed, luck of the best."""
