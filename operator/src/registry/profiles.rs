//! Drafts device profiles, checks them as the functions will read them, and writes them.

use super::{print_problems, put_error};
use anyhow::{Context as _, anyhow, bail};
use comfy_table::{Table, presets};
use myaku::device::profile::{Decoded, Explanation, Profile, Rejection};
use myaku::device::registry::{Key, MasterDataWriter, parse_profile, profile_document};
use myaku::ingest::message::MessageRef;
use serde_json::{Value, json};
use std::io::Write;

/// Returns the documents of the files, each a name and its text, if all of them are valid. Prints the problems
/// otherwise, and in any case what a valid profile asks for and will not get.
pub fn check(files: &[(String, String)], out: &mut impl Write) -> anyhow::Result<Vec<(Key, String)>> {
    let mut documents = Vec::<(Key, String)>::new();
    let mut invalid = 0;
    for (name, text) in files {
        match parse_profile(text).and_then(|profile| profile_document(&profile)) {
            Ok((key, _)) if documents.iter().any(|(other, _)| *other == key) => {
                writeln!(out, "{name}: id: another of these files has {:?}, too; each needs its own", key.id)?;
                invalid += 1;
            }
            Ok(document) => {
                let advice = Profile::parse(document.1.as_bytes()).map(|profile| profile.advice()).unwrap_or_default();
                print_problems(out, &format!("{name}: note"), &advice)?;
                documents.push(document);
            }
            Err(problems) => {
                print_problems(out, name, &problems)?;
                invalid += 1;
            }
        }
    }
    if invalid > 0 {
        bail!("{invalid} of {} profiles cannot be used; correct the fields above", files.len());
    }
    Ok(documents)
}

/// A message to try a profile on.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The payload, or its hexadecimal digits.
    pub payload: &'a [u8],
    /// Whether it is written in hexadecimal digits.
    pub hex: bool,
    /// The topic that it is published to: `dt/myaku/<facility>/<device>/<kind>`.
    pub topic: &'a str,
    /// When it is received, in milliseconds since the epoch.
    pub received_ms: i64,
}

/// Decodes a message by the profile in a file, and prints how. Fails if the profile is not valid, or if something of the
/// message cannot be used.
pub fn attempt(file: &(String, String), trial: &Trial<'_>, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let (_, document) = check(std::slice::from_ref(file), out)?.remove(0);
    let profile = Profile::parse(document.as_bytes()).map_err(|_| anyhow!("the profile cannot be used"))?;
    let payload = if trial.hex { from_hex(trial.payload)? } else { trial.payload.to_vec() };
    let ["dt", "myaku", facility, device_id, kind] = trial.topic.split('/').collect::<Vec<_>>()[..] else {
        bail!("--topic must be dt/myaku/<facility>/<device>/<kind>");
    };
    let message = MessageRef {
        delivery_id: "try",
        device_id,
        facility,
        kind,
        client_id: None,
        received_at: trial.received_ms,
        payload: &payload,
        message_id: None,
        sender: None,
    };
    let (decoded, explanation) = profile.explain(message, trial.received_ms);
    if json {
        let rejected = decoded
            .rejected
            .iter()
            .map(|it| json!({"index": it.index, "metric": it.metric, "reason": it.reason.name(), "detail": it.detail}));
        let rejected: Value = rejected.collect();
        writeln!(out, "{:#}", json!({"explanation": explanation, "readings": decoded.readings, "rejected": rejected}))?;
    } else {
        print_steps(&explanation, &decoded, out)?;
    }
    match decoded.rejected.len() {
        0 => Ok(()),
        count => bail!("{count} parts of the message cannot be used; the lines with `rejected` say why"),
    }
}

fn print_steps(explanation: &Explanation, decoded: &Decoded<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    for tried in &explanation.versions {
        match &tried.mismatch {
            None => writeln!(out, "version {:?} matches", tried.name)?,
            Some(why) => writeln!(out, "version {:?} does not match: {why}", tried.name)?,
        }
    }
    if let (Some(identity), Some(clock)) = (&explanation.identity, &explanation.clock) {
        writeln!(out, "identity: {identity}\nclock: {clock}")?;
    }
    let index_of = |id: &str| id.rsplit_once('#').and_then(|(_, index)| index.parse::<usize>().ok());
    for value in &explanation.values {
        writeln!(out, "value {}: {}", value.index, value.metric)?;
        writeln!(out, "  {} is {}", value.from, value.raw)?;
        for step in &value.steps {
            writeln!(out, "  {step}")?;
        }
        for reading in decoded.readings.iter().filter(|reading| index_of(&reading.id) == Some(value.index)) {
            let at = jiff::Timestamp::from_millisecond(reading.at)?;
            let unit = if reading.unit.is_empty() { String::new() } else { format!(" {}", reading.unit) };
            let measured = serde_json::to_string(&reading.value)?;
            let clock = serde_json::to_value(reading.clock)?;
            writeln!(
                out,
                "  reading: {measured}{unit} at {at}, by the clock `{}`",
                clock.as_str().unwrap_or_default()
            )?;
        }
        let is_of = |it: &&Rejection| it.index == Some(value.index) && it.metric.is_some();
        for rejection in decoded.rejected.iter().filter(is_of) {
            writeln!(out, "  rejected, {}: {}", rejection.reason.name(), rejection.detail)?;
        }
    }
    for rejection in decoded.rejected.iter().filter(|it| it.metric.is_none()) {
        writeln!(out, "rejected, {}: {}", rejection.reason.name(), rejection.detail)?;
    }
    Ok(())
}

fn from_hex(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<u32> = text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| {
            char::from(*byte).to_digit(16).context("the payload has a character that is not a hexadecimal digit")
        })
        .collect::<anyhow::Result<_>>()?;
    if digits.len() % 2 == 1 {
        bail!("the payload has an odd number of hexadecimal digits");
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

/// Drafts a profile from the payloads in `files`, prints it to `out`, and what it is not sure of to `notes`.
pub fn infer(
    id: &str,
    files: &[Vec<u8>],
    now_ms: i64,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<()> {
    let samples: Vec<&[u8]> = files.iter().flat_map(|file| payloads(file)).collect();
    let draft = myaku::device::profile::infer(id, &samples, now_ms).map_err(anyhow::Error::msg)?;
    writeln!(out, "{}", serde_json::to_string_pretty(&draft.document)?)?;
    for doubt in &draft.doubts {
        writeln!(notes, "check {doubt}")?;
    }
    writeln!(notes, "{} samples give {} readings with this draft", samples.len(), draft.readings)?;
    Ok(())
}

/// Lists the units that are known, with how many base units of its quantity each has.
pub fn units(json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let units = myaku::device::profile::units();
    if json {
        let units = units.iter().map(|unit| {
            json!({"names": unit.names, "quantity": unit.quantity, "factor": unit.factor, "offset": unit.offset})
        });
        return Ok(writeln!(out, "{:#}", units.collect::<Value>())?);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["QUANTITY", "UNIT", "OTHER NAMES"]);
    for unit in units {
        table.add_row([unit.quantity, unit.names[0], &unit.names[1..].join("  ")]);
    }
    Ok(writeln!(out, "{table}")?)
}

/// The payloads of a file: each of its lines if all of them are JSON, else the file.
fn payloads(file: &[u8]) -> Vec<&[u8]> {
    let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    let is_json = |line: &&[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
    if lines.len() > 1 && lines.iter().all(is_json) { lines } else { vec![file] }
}

/// Checks the files, and writes all of them if all are valid.
pub async fn put(
    store: &impl MasterDataWriter,
    files: &[(String, String)],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let documents = check(files, out)?;
    store.put(&documents).await.map_err(put_error)?;
    for (key, _) in documents {
        writeln!(out, "profile {:?} is written", key.id)?;
    }
    Ok(())
}

/// Formats a profile for a listing: id and description, separated by a tab.
pub fn columns(key: &Key, document: &str) -> String {
    match parse_profile(document) {
        Ok(profile) => format!("{}\t{}", key.id, profile.description),
        Err(_) => format!("{}\tcannot be used", key.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{list, show};
    use myaku::device::registry::{Kind, MemoryMasterData};
    use myaku::platform::errors::Remedy;

    const GOOD: &str = r#"{"id":"vital","description":"A band","metrics":{"t":{"unit":"°C"}},
        "versions":[{"name":"1","format":"json","fields":[{"metric":"t","from":"t"}]}]}"#;

    fn files(texts: &[&str]) -> Vec<(String, String)> {
        (1..).zip(texts).map(|(n, text)| (format!("{n}.json"), (*text).to_owned())).collect()
    }

    #[tokio::test]
    async fn a_profile_that_was_put_is_listed_and_shown() {
        let (store, mut out) = (MemoryMasterData::new(), Vec::new());
        put(&store, &files(&[GOOD]), &mut out).await.unwrap();
        list(&store, Kind::Profile, false, columns, &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "profile \"vital\" is written\nvital\tA band\n");

        let mut out = Vec::new();
        show(&store, Key::new(Kind::Profile, "vital"), &mut out).await.unwrap();
        assert_eq!(parse_profile(&String::from_utf8(out).unwrap()).unwrap(), parse_profile(GOOD).unwrap());
        let error = show(&store, Key::new(Kind::Profile, "other"), &mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no profile \"other\"; `myaku profile list` shows those that are there");
    }

    #[test]
    fn a_valid_profile_that_asks_for_more_than_is_remembered_gets_a_note() {
        let window = r#"{"last":20,"historySeconds":60,"allowedLatenessSeconds":3600}"#;
        let asking = GOOD.replace("\"°C\"", &format!("\"°C\",\"window\":{window}"));
        let mut out = Vec::new();
        assert_eq!(check(&files(&[&asking]), &mut out).unwrap().len(), 1);
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("1.json: note: metrics.t.window.allowedLatenessSeconds: where readings come"), "{out}");
        let heard_rarely = asking.replace("\"description\"", "\"expectedIntervalSeconds\":60,\"description\"");
        let mut out = Vec::new();
        check(&files(&[&heard_rarely]), &mut out).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn a_trial_shows_each_step_and_fails_where_something_is_rejected() {
        let file = ("t.json".to_owned(), GOOD.to_owned());
        let run = |payload: &[u8], hex, topic| {
            let mut out = Vec::new();
            let trial = Trial { payload, hex, topic, received_ms: 1_795_218_892_020 };
            let result = attempt(&file, &trial, false, &mut out).map_err(|error| error.to_string());
            (result, String::from_utf8(out).unwrap())
        };
        let topic = "dt/myaku/home-3/bed-7/vital";
        let (result, out) = run(b"7b 22 74 22 3a 33 36 7d", true, topic);
        result.unwrap();
        assert!(
            out.contains("version \"1\" matches") && out.contains("  t is 36\n  read 36\n  reading: 36.0 °C at "),
            "{out}"
        );
        let (result, out) = run(br#"{"t":"x"}"#, false, topic);
        assert!(result.unwrap_err().starts_with("1 parts of the message"));
        assert!(out.contains("  rejected, not-a-number: t (value 0): it is a text"), "{out}");
        assert!(run(b"7", true, topic).0.unwrap_err().contains("odd number"));
        assert!(run(b"{}", false, "dt/other").0.unwrap_err().contains("--topic must be"));
    }

    #[test]
    fn a_draft_is_made_of_the_lines_of_a_file_and_is_itself_valid() {
        let lines = b"{\"seq\":1,\"temp_c\":21.5}\n{\"seq\":2,\"temp_c\":21.6}\n\n".to_vec();
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        infer("room", &[lines, b"{\n\"seq\": 3,\n\"temp_c\": 22}".to_vec()], 1_795_219_000_000, &mut out, &mut notes)
            .unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(check(&files(&[&out]), &mut Vec::new()).unwrap().len(), 1);
        let notes = String::from_utf8(notes).unwrap();
        assert!(notes.ends_with("3 samples give 3 readings with this draft\n"), "{notes}");
        assert!(notes.contains("check temp_c: its unit was guessed"), "{notes}");
    }

    #[tokio::test]
    async fn nothing_is_written_if_one_file_is_invalid_and_each_problem_names_its_field() {
        let (store, mut out) = (MemoryMasterData::new(), Vec::new());
        let bad = GOOD.replace("\"metric\":\"t\"", "\"metric\":\"u\"");
        let misspelt = GOOD.replace("description", "descripton");
        let error = put(&store, &files(&[GOOD, &bad, &misspelt, GOOD, "{"]), &mut out).await.unwrap_err();
        assert_eq!(error.to_string(), "4 of 5 profiles cannot be used; correct the fields above");
        let out = String::from_utf8(out).unwrap();
        let starts = ["2.json: versions[0].fields[0].metric: ", "3.json: ", "4.json: id: ", "5.json: "];
        for start in starts {
            assert!(out.lines().any(|line| line.starts_with(start)), "{start} is not in {out}");
        }
        assert!(out.contains("descripton"), "{out}");
        assert_eq!(store.list(Kind::Profile, None, 10).await.unwrap().documents, []);
    }

    #[tokio::test]
    async fn an_error_names_the_profiles_that_were_not_written_when_the_store_is_down() {
        let store = MemoryMasterData::new();
        store.fail(Remedy::Retry);
        let error = put(&store, &files(&[GOOD]), &mut Vec::new()).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("1 documents were not written (vital): "), "{error:#}");
    }
}
