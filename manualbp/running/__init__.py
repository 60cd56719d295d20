"""The running wing: what drives asv, git and processes, and stores what they measure."""
