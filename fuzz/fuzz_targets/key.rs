#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| myaku::fuzz::key(bytes));
