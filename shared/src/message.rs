//! Stub until the real one is merged.
#![allow(missing_docs)]
pub struct Message {
    pub device_id: String,
}
