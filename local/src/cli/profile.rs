//! `myaku profile`: replaced by the real one when it is merged.

/// Arguments of `myaku profile`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
#[expect(clippy::unused_async, reason = "the real one talks to the registry")]
pub async fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("not in this build")
}
