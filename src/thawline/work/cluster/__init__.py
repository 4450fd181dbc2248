"""Work on many machines: Ray schedules, Thawline's own code computes and stores."""
