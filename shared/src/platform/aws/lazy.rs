//! Clients of AWS services that are made on first use.
//!
//! Making a client takes as long as all the rest of a function's start, and many invocations need few of their
//! function's clients: the one for dead letters is hardly ever called. Adapters hold their client in this type, so that
//! no start waits for a client.

use aws_config::SdkConfig;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A client of an AWS service, made on first use. Clones share it.
pub struct Lazy<C>(Arc<Inner<C>>);

struct Inner<C> {
    config: SdkConfig,
    make: fn(&SdkConfig) -> C,
    client: OnceLock<C>,
}

impl<C> Lazy<C> {
    /// A client that `make`, the SDK's `Client::new`, makes from `config`.
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
    fn a_client_is_made_on_first_use_and_then_shared() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let lazy = Lazy::new(&SdkConfig::builder().build(), |_| MADE.fetch_add(1, Ordering::Relaxed));
        let other = lazy.clone();
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        assert_eq!((*other, *lazy), (0, 0));
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }
}
