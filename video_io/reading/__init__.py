"""Text in pictures, verbatim: found by OCR on this machine, put into reading order, doubtful parts marked."""
