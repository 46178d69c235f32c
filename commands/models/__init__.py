"""`main.py models`: what there is for this machine, getting it, removing it, planning and converting."""
