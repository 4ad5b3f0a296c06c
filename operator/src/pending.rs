//! Puts, lists and cancels pending commands: those that wait for a device that only connects by itself, over HTTP.

use anyhow::bail;
use myaku::ingest::command::{Command, CommandsWriter};
use std::io::Write;

/// How many commands one page of a listing has.
const PAGE: usize = 500;

/// Puts a command for its device, in place of one that waits already.
pub async fn put(store: &impl CommandsWriter, command: &Command, out: &mut impl Write) -> anyhow::Result<()> {
    command.check()?;
    let replaced = store.pending(&command.device_id).await?.filter(|old| old.waits(command.created_ms));
    store.put(command).await?;
    writeln!(out, "command {} waits for device {:?}", command.id, command.device_id)?;
    if let Some(old) = replaced {
        writeln!(out, "it replaces command {} ({})", old.id, old.request)?;
    }
    Ok(())
}

/// Prints the commands that wait: device, id, request, seconds left and payload, separated by tabs.
pub async fn list(store: &impl CommandsWriter, now_ms: i64, out: &mut impl Write) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = store.list(after, PAGE).await?;
        for command in page.commands.iter().filter(|command| command.waits(now_ms)) {
            let Command { device_id, id, request, payload, .. } = command;
            let left_seconds = (command.expires_ms - now_ms) / 1_000;
            writeln!(out, "{device_id}\t{id}\t{request}\t{left_seconds}\t{payload}")?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Cancels the command that waits for a device.
pub async fn cancel(
    store: &impl CommandsWriter,
    device: &str,
    now_ms: i64,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(command) = store.pending(device).await?.filter(|command| command.waits(now_ms)) else {
        bail!("no command waits for device {device:?}; `myaku command list` shows those that wait");
    };
    // Since it was read, the device may have acknowledged it, or an operator may have put another one, which stays.
    if !store.remove(device, &command.id).await? {
        bail!("command {} was acknowledged or replaced a moment ago; list the commands that wait now", command.id);
    }
    writeln!(out, "command {} ({}) is cancelled; the device may have seen it already", command.id, command.request)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::ingest::command::conformance::command;
    use myaku::ingest::command::{Commands as _, MemoryCommands};

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_command_is_put_replaced_listed_and_cancelled() {
        let (store, mut out) = (MemoryCommands::default(), Vec::new());
        let (first, second) = (command("bed-17", "c-1"), command("bed-17", "c-2"));
        put(&store, &first, &mut out).await.unwrap();
        put(&store, &second, &mut out).await.unwrap();
        assert_eq!(
            text(std::mem::take(&mut out)),
            "command c-1 waits for device \"bed-17\"\ncommand c-2 waits for device \"bed-17\"\n\
             it replaces command c-1 (set-interval)\n"
        );
        list(&store, second.created_ms, &mut out).await.unwrap();
        let line = format!("bed-17\tc-2\tset-interval\t900\t{}\n", second.payload);
        assert_eq!(text(std::mem::take(&mut out)), line);
        list(&store, second.expires_ms, &mut out).await.unwrap();
        assert_eq!(text(std::mem::take(&mut out)), "", "an expired command is not listed");

        cancel(&store, "bed-17", second.created_ms, &mut out).await.unwrap();
        assert_eq!(store.pending("bed-17").await.unwrap(), None);
        let error = cancel(&store, "bed-17", second.created_ms, &mut out).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no command waits for device \"bed-17\"; `myaku command list` shows those that wait"
        );
    }

    #[tokio::test]
    async fn an_invalid_command_is_not_put() {
        let store = MemoryCommands::default();
        let bad = Command { payload: "{".to_owned(), ..command("bed-17", "c-1") };
        let error = put(&store, &bad, &mut Vec::new()).await.unwrap_err().to_string();
        assert!(error.starts_with("payload: it is not JSON"), "{error}");
        assert_eq!(store.pending("bed-17").await.unwrap(), None);
    }
}
