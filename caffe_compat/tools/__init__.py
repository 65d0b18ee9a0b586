"""What the commands do beyond training and exporting: scores, timing, summaries, checks, the demo."""
