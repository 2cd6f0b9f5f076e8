"""From executed notebooks to something people read: a book that opens from disk, a case browser, a
proof of it.
"""
