"""What `saphan chaos` does: it hurts a platform of its own by a seeded plan and then looks for anything lost."""
