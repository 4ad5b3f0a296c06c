//! `myaku token`: a token for the HTTP API of a running `myaku local`, from its own issuer.

use super::running_stack::State;
use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `myaku token`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device whose token it is: it sends for itself only.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// A facility: where the device stands, or for whose devices an app sends. It can be said several times.
    #[arg(long = "facility", value_name = "FACILITY")]
    facilities: Vec<String>,
    /// Another claim, as JSON or as a text.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// How long it holds, in seconds; twelve hours without. Less than nothing makes one that has expired.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    seconds: Option<i64>,
    /// Where `myaku local` keeps its files.
    #[arg(long, default_value = ".local", value_name = "DIR")]
    directory: PathBuf,
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("it must be NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

/// Runs the command: prints the token, and nothing else.
pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let state = State::read(&args.directory)?;
    let Some(issuer) = &state.issuer else { bail!("the template that runs there takes no tokens") };
    let expires_at_s = args.seconds.map(|seconds| jiff::Timestamp::now().as_second() + seconds);
    println!("{}", sign(issuer, &claims(&args, &state, expires_at_s)).await?);
    Ok(ExitCode::SUCCESS)
}

/// A token with these claims from an issuer.
pub(super) async fn sign(issuer: &str, claims: &Map<String, Value>) -> Result<String> {
    let request = reqwest::Client::new().post(format!("{issuer}/token")).header("content-type", "application/json");
    let answer = request.body(Value::Object(claims.clone()).to_string()).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    Ok(answer.with_context(|| format!("{issuer} issued no token: is `myaku local` running?"))?.text().await?)
}

/// The claims of a device's token, or an app's.
pub(super) fn subject(state: &State, device: Option<&str>, facilities: &[String]) -> Map<String, Value> {
    let mut claims = Map::from_iter([
        ("sub".to_owned(), json!(device.unwrap_or("app"))),
        ("aud".to_owned(), json!(state.claims.audience)),
    ]);
    if let Some(device) = device {
        claims.insert(state.claims.device.clone(), json!(device));
    }
    match facilities {
        [] => {}
        [one] => _ = claims.insert(state.claims.facilities.clone(), json!(one)),
        several => _ = claims.insert(state.claims.facilities.clone(), json!(several)),
    }
    claims
}

fn claims(args: &Args, state: &State, expires_at_s: Option<i64>) -> Map<String, Value> {
    let mut claims = subject(state, args.device.as_deref(), &args.facilities);
    claims.extend(expires_at_s.map(|at_s| ("exp".to_owned(), json!(at_s))));
    // What is said word for word comes last, and counts.
    claims.extend(args.claims.iter().cloned());
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_an_app_and_whatever_else_is_asked_for_become_claims() {
        let state = super::super::running_stack::tests::state();
        let args = |device: Option<&str>, facilities: &[&str], more: &[&str]| Args {
            device: device.map(str::to_owned),
            facilities: facilities.iter().map(|it| (*it).to_owned()).collect(),
            claims: more.iter().map(|it| claim(it).unwrap()).collect(),
            seconds: None,
            directory: PathBuf::new(),
        };
        let shown = |args: Args| Value::Object(claims(&args, &state, Some(7))).to_string();
        assert_eq!(
            shown(args(Some("bed-17"), &["home-3"], &[])),
            r#"{"aud":"myaku","device_id":"bed-17","exp":7,"facilities":"home-3","sub":"bed-17"}"#
        );
        assert_eq!(
            shown(args(None, &["home-3", "home-4"], &["scope=a b", "exp=9"])),
            r#"{"aud":"myaku","exp":9,"facilities":["home-3","home-4"],"scope":"a b","sub":"app"}"#
        );
    }
}
