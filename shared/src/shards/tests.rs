//! The plan's rules, one by one; `properties` holds them together over random streams.
