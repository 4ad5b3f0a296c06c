//! Whole profiles: the samples in `events/profiles`, and profiles that cannot be.
