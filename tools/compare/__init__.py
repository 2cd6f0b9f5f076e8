"""Any team's results of single cases compared: which network is better, by how much, ranked how,
and how many patients a next study needs. Neither manifest, images nor torch are asked for.

read     tables of several tools as one          report   the comparison as a page and tables
"""
