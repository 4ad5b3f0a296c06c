//! Clients that are made when they are first called.
//!
//! To make a client of an AWS service takes as long as all the rest of a function's start, and many an invocation needs few of those
//! that its function has: the dead letters' is hardly ever called. Adapters hold their client in this type, so that no
//! start waits for one.

use aws_config::SdkConfig;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A client of an AWS service, made at its first use; clones share it.
pub struct Lazy<C>(Arc<Inner<C>>);

struct Inner<C> {
    config: SdkConfig,
    make: fn(&SdkConfig) -> C,
    client: OnceLock<C>,
}

impl<C> Lazy<C> {
    /// What `make`, the SDK's `Client::new`, will make of `config`.
    pub fn new(config: &SdkConfig, make: fn(&SdkConfig) -> C) -> Self {
        Self(Arc::new(Inner { config: config.clone(), make, client: OnceLock::new() }))
    }
}

impl<C> Deref for Lazy<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.0.client.get_or_init(|| (self.0.make)(&self.0.config))
    }
}

impl<C> Clone for Lazy<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: fmt::Debug> fmt::Debug for Lazy<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lazy").field(&self.0.client).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_client_is_made_at_its_first_use_and_then_shared() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let lazy = Lazy::new(&SdkConfig::builder().build(), |_| MADE.fetch_add(1, Ordering::Relaxed));
        let other = lazy.clone();
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        assert_eq!((*other, *lazy), (0, 0));
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }
}
