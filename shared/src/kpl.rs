//! The aggregated record format of the Kinesis Producer Library.
