"""Which of two models answers better: the same prompts, sides drawn at random, a judge who can't tell them apart."""
