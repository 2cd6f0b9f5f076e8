"""From a folder of pictures to a study: find, check, split, write the manifest and a page about
it.
"""
