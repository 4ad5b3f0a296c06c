//! The conformance suite of every store of pending commands.

use super::{Command, CommandsWriter};
use std::collections::BTreeSet;

/// A command for tests.
pub fn command(device_id: &str, id: &str) -> Command {
    Command {
        device_id: device_id.to_owned(),
        id: id.to_owned(),
        request: "set-interval".to_owned(),
        payload: r#"{"seconds": 30, "note": "naïve"}"#.to_owned(),
        created_ms: 1_795_218_892_020,
        expires_ms: 1_795_219_792_020,
    }
}

/// Runs all checks against an empty store.
///
/// # Panics
/// If a check fails.
pub async fn suite(store: &impl CommandsWriter) {
    assert_eq!(store.pending("bed-17").await.expect("pending"), None);
    assert!(!store.remove("bed-17", "c-1").await.expect("remove"), "nothing is there");

    let (first, second) = (command("bed-17", "c-1"), command("bed-17", "c-2"));
    store.put(&first).await.expect("put");
    assert_eq!(store.pending("bed-17").await.expect("pending"), Some(first.clone()), "it comes back as it was put");
    assert_eq!(store.pending("bed-18").await.expect("pending"), None, "another device does not get it");
    store.put(&second).await.expect("put");
    assert_eq!(
        store.pending("bed-17").await.expect("pending"),
        Some(second.clone()),
        "the newer command replaces the older one"
    );

    assert!(
        !store.remove("bed-17", "c-1").await.expect("remove"),
        "an old acknowledgement does not remove a newer command"
    );
    assert_eq!(store.pending("bed-17").await.expect("pending"), Some(second));
    assert!(store.remove("bed-17", "c-2").await.expect("remove"));
    assert!(!store.remove("bed-17", "c-2").await.expect("remove"), "it was removed before");
    assert_eq!(store.pending("bed-17").await.expect("pending"), None);

    let devices: BTreeSet<String> = (0..7).map(|n| format!("node-{n}")).collect();
    for device in &devices {
        store.put(&command(device, "c-1")).await.expect("put");
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(after, 3).await.expect("list");
        assert!(page.commands.len() <= 3);
        listed.extend(page.commands.into_iter().map(|command| command.device_id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed.len(), devices.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), devices);
}
