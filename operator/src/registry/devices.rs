//! Registers devices: one, or all of a CSV file.

use super::{find, print_problems, put_error};
use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use myaku::device::registry::{
    Device, Key, Kind, MasterData, MasterDataWriter, device_document, parse_device, parse_profile, profile_document,
};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};

/// How many devices are put between two steps of the progress bar, in several calls.
const STEP: usize = 500;
/// The most problems that are printed for one file.
const PROBLEMS_SHOWN: usize = 100;

/// Registers one device, in place of one with the same id.
pub async fn put(
    store: &(impl MasterData + MasterDataWriter),
    device: &Device,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let document = match device_document(device) {
        Ok(document) => document,
        Err(problems) => {
            print_problems(out, "device", &problems)?;
            bail!("device {:?} was not written; correct the fields above", device.device_id);
        }
    };
    if let Some(problem) = profile_problem(store, &device.profile).await? {
        bail!("{problem}");
    }
    store.put(&[document]).await.map_err(put_error)?;
    writeln!(out, "device {:?} is written", device.device_id)?;
    Ok(())
}

/// Registers the devices of a CSV file, in place of those with the same ids. `name` is the file's name in messages.
pub async fn import(
    store: &(impl MasterData + MasterDataWriter),
    name: &str,
    csv: impl Read,
    progress: &ProgressBar,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let rows = read(name, csv)?;
    let mut problems = rows.problems;
    for (profile, line) in rows.profiles {
        if let Some(problem) = profile_problem(store, &profile).await? {
            problems.push((line, format!("profile: {problem}")));
        }
    }
    problems.sort();
    for (line, problem) in problems.iter().take(PROBLEMS_SHOWN) {
        writeln!(out, "{name}:{line}: {problem}")?;
    }
    if !problems.is_empty() {
        bail!(
            "{name} has {} problems, so none of its devices was written; correct them and import it again",
            problems.len()
        );
    }
    let devices = rows.documents.len();
    progress.set_length(devices as u64);
    for (done, step) in (0..).step_by(STEP).zip(rows.documents.chunks(STEP)) {
        // Putting a device a second time changes nothing, so the whole file can be imported again.
        let stopped = || format!("the import stopped after {done} of {devices} devices; run it again, which is safe");
        store.put(step).await.map_err(put_error).with_context(stopped)?;
        progress.inc(step.len() as u64);
    }
    progress.finish_and_clear();
    writeln!(out, "{devices} devices are written")?;
    Ok(())
}

/// The parsed rows of a CSV file.
#[derive(Default)]
struct Rows {
    documents: Vec<(Key, String)>,
    /// The first line that names each profile.
    profiles: BTreeMap<String, u64>,
    /// Problems with the number of their line.
    problems: Vec<(u64, String)>,
}

fn read(name: &str, csv: impl Read) -> anyhow::Result<Rows> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv);
    let header = reader.headers().with_context(|| format!("cannot read the header of {name}"))?.clone();
    let column = |wanted: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}') == wanted);
    let (Some(id), Some(profile)) = (column("deviceId"), column("profile")) else {
        bail!(
            "{name} must have the columns deviceId and profile; it has {}",
            header.iter().collect::<Vec<_>>().join(", ")
        );
    };
    let (facility, roams) = (column("facility"), column("roams"));
    let known = [Some(id), Some(profile), facility, roams];
    if let Some(other) = (0..header.len()).find(|&index| !known.contains(&Some(index))) {
        bail!(
            "{name} has the unknown column {:?}; the columns are deviceId, profile and, if wanted, facility and roams",
            &header[other]
        );
    }
    let (mut rows, mut lines) = (Rows::default(), HashMap::<String, u64>::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            // The row is not UTF-8, or has the wrong number of columns. The next one can be read all the same.
            Err(error) if !error.is_io_error() => {
                rows.problems.push((error.position().map_or(0, csv::Position::line), error.to_string()));
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
        };
        let line = record.position().map_or(0, csv::Position::line);
        let field = |index: usize| record.get(index).unwrap_or_default().to_owned();
        let facility = facility.map(field).filter(|facility| !facility.is_empty());
        let roams = roams.map(field).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let device = Device { device_id: field(id), profile: field(profile), facility, roams };
        match device_document(&device) {
            Ok(document) => rows.documents.push(document),
            Err(problems) => {
                let by_field =
                    problems.into_iter().map(|problem| (line, format!("{}: {}", problem.field, problem.message)));
                rows.problems.extend(by_field);
                continue;
            }
        }
        if let Some(first) = lines.insert(device.device_id, line) {
            rows.problems.push((line, format!("deviceId: line {first} has the same one")));
        }
        rows.profiles.entry(device.profile).or_insert(line);
    }
    Ok(rows)
}

/// Returns why a device cannot have a profile; `None` if it can.
async fn profile_problem(store: &impl MasterData, id: &str) -> anyhow::Result<Option<String>> {
    let Some(document) = find(store, &Key::new(Kind::Profile, id)).await? else {
        return Ok(Some(format!("there is no profile {id:?}; put it first, with myaku profile put")));
    };
    let usable = parse_profile(&document).and_then(|profile| profile_document(&profile));
    Ok(usable.err().map(|_| format!("the profile {id:?} cannot be used; check it with myaku profile check")))
}

/// Formats a device for a listing: id, profile and facility, separated by tabs.
pub fn columns(key: &Key, document: &str) -> String {
    match parse_device(document) {
        Ok(device) => format!("{}\t{}\t{}", key.id, device.profile, device.facility.unwrap_or_default()),
        Err(_) => format!("{}\tcannot be used", key.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::list;
    use myaku::device::registry::MemoryMasterData;
    use myaku::platform::errors::Remedy;

    /// A store with the profile `vital`.
    fn store() -> MemoryMasterData {
        let store = MemoryMasterData::new();
        let vital = r#"{"id":"vital","metrics":{"t":{"unit":"°C"}},
            "versions":[{"name":"1","format":"json","fields":[{"metric":"t","from":"t"}]}]}"#;
        store.put_document(Key::new(Kind::Profile, "vital"), vital);
        store.put_document(Key::new(Kind::Profile, "broken"), "{}");
        store
    }

    async fn imported(store: &MemoryMasterData, csv: &str) -> (anyhow::Result<()>, String) {
        let mut out = Vec::new();
        let result = import(store, "beds.csv", csv.as_bytes(), &ProgressBar::hidden(), &mut out).await;
        (result, String::from_utf8(out).unwrap())
    }

    async fn devices(store: &MemoryMasterData) -> String {
        let mut out = Vec::new();
        list(store, Kind::Device, false, columns, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn the_devices_of_a_file_are_written_and_listed() {
        let store = store();
        // A byte order mark as spreadsheets write it, spaces, another order of columns, an empty facility.
        let csv = "\u{feff}profile,deviceId,facility\nvital, bed-1 ,home-3\r\nvital,bed-2,\n";
        let (result, out) = imported(&store, csv).await;
        result.unwrap();
        assert_eq!(out, "2 devices are written\n");
        assert_eq!(devices(&store).await, "bed-1\tvital\thome-3\nbed-2\tvital\t\n");
    }

    #[tokio::test]
    async fn a_device_that_moves_has_a_list_of_facilities() {
        let store = store();
        let csv = "deviceId,profile,facility,roams\nbed-1,vital,home-3,home-4 home-5\nbed-2,vital,,*\n";
        imported(&store, csv).await.0.unwrap();
        let mut out = Vec::new();
        list(&store, Kind::Device, true, columns, &mut out).await.unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        {"deviceId":"bed-1","profile":"vital","facility":"home-3","roams":["home-4","home-5"]}
        {"deviceId":"bed-2","profile":"vital","roams":["*"]}
        "#);
    }

    #[tokio::test]
    async fn more_devices_than_fit_into_a_page_or_a_step_are_all_written() {
        let store = store();
        let csv = (0..1_234).fold("deviceId,profile\n".to_owned(), |csv, n| csv + &format!("bed-{n},vital\n"));
        imported(&store, &csv).await.0.unwrap();
        assert_eq!(devices(&store).await.lines().count(), 1_234);
    }

    #[tokio::test]
    async fn each_problem_is_printed_with_line_and_field_and_nothing_is_written() {
        let store = store();
        let csv = "deviceId,profile,facility\nbed-1,vital,\nbed/2,vital,a#b\nbed-1,vital,\n\
                   bed-3,broken,\nbed-4,nowhere,\nbed-5\n,vital,\nbed-6,vital,Haus am See\n";
        let (result, out) = imported(&store, csv).await;
        assert_eq!(
            result.unwrap_err().to_string(),
            "beds.csv has 8 problems, so none of its devices was written; correct them and import it again"
        );
        let starts = [
            "beds.csv:3: deviceId: has one of / + #",
            "beds.csv:3: facility: has one of / + #",
            "beds.csv:4: deviceId: line 2 has the same one",
            "beds.csv:5: profile: the profile \"broken\" cannot be used",
            "beds.csv:6: profile: there is no profile \"nowhere\"",
            "beds.csv:7: ",
            "beds.csv:8: deviceId: must not be empty",
            "beds.csv:9: facility: has one of space, comma",
        ];
        for (line, start) in out.lines().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
        assert_eq!(devices(&store).await, "");
    }

    #[tokio::test]
    async fn an_error_names_missing_and_unknown_columns() {
        let missing = imported(&store(), "id,profile\n").await.0.unwrap_err().to_string();
        assert_eq!(missing, "beds.csv must have the columns deviceId and profile; it has id, profile");
        let unknown = imported(&store(), "deviceId,profile,facilty\n").await.0.unwrap_err().to_string();
        assert!(unknown.contains("\"facilty\""), "{unknown}");
    }

    #[tokio::test]
    async fn one_device_is_checked_by_the_same_rules() {
        let (store, mut out) = (store(), Vec::new());
        let device = |id: &str, profile: &str| Device::new(id, profile, None);
        put(&store, &device("bed-1", "vital"), &mut out).await.unwrap();
        assert!(put(&store, &device("bed-2", "nowhere"), &mut out).await.is_err());
        assert!(put(&store, &device("bed\t3", "vital"), &mut out).await.is_err());
        assert_eq!(devices(&store).await, "bed-1\tvital\t\n");
        assert!(String::from_utf8(out).unwrap().ends_with("device: deviceId: has control characters\n"));
    }

    #[tokio::test]
    async fn an_import_fails_when_the_store_is_down() {
        let store = store();
        store.fail(Remedy::SlowDown);
        assert!(imported(&store, "deviceId,profile\nbed-1,vital\n").await.0.is_err());
    }
}
