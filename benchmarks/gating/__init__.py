"""What the gate is put through: promotions, chains of refreshes, arms looked at every day."""
