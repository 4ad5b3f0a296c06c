//! Drafts device profiles, checks them as the functions will read them, and writes them.

use super::{print_problems, put_error};
use anyhow::bail;
use comfy_table::{Table, presets};
use myaku::device::profile::Profile;
use myaku::device::registry::{Key, MasterDataWriter, parse_profile, profile_document};
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
        return Ok(writeln!(out, "{:#}", Value::from_iter(units))?);
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
