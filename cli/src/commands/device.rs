//! `myaku device`: registers devices, one or a file of them.

use super::registry::{Table, find, list, not_put, show, tell};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use myaku::device::registry::{
    Device, Key, Kind, MasterData, MasterDataWriter, device_document, parse_device, parse_profile, profile_document,
};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Devices between two steps of the progress bar: some calls' worth.
const STEP: usize = 500;
/// Problems that are printed of one file.
const PROBLEMS: usize = 100;

/// The commands of `myaku device`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Registers one device, over what is there. Functions know it within a minute.
    Put {
        /// Its id, as in its topics.
        id: String,
        /// The id of its profile.
        #[arg(long)]
        profile: String,
        /// Where it stands; without, its messages' own facility counts.
        #[arg(long)]
        facility: Option<String>,
        #[command(flatten)]
        table: Table,
    },
    /// Registers the devices of a CSV file with the columns deviceId, profile and, if wanted, facility.
    Import {
        /// The file. Nothing is written unless all of it is good.
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        #[command(flatten)]
        table: Table,
    },
    /// Lists the devices: id, profile and facility, separated by tabs.
    List {
        /// Whole entries instead, one on each line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        table: Table,
    },
    /// Shows one device.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        table: Table,
    },
}

/// Runs the command. Problems are printed, and then an error says that there are some.
pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Put { id, profile, facility, table } => {
            put(&table.connect().await, &Device { device_id: id, profile, facility }, out).await
        }
        Command::Import { file, table } => {
            let name = file.display().to_string();
            let csv = File::open(&file).with_context(|| format!("{name} cannot be opened"))?;
            // On a terminal only, and on standard error.
            let style = "{bar:40} {pos}/{len} devices, {per_sec}, {eta} left";
            let progress = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
            import(&table.connect().await, &name, csv, &progress, out).await
        }
        Command::List { json, table } => list(&table.connect().await, Kind::Device, json, in_columns, out).await,
        Command::Show { id, table } => show(&table.connect().await, Key::new(Kind::Device, id), out).await,
    }
}

async fn put(
    store: &(impl MasterData + MasterDataWriter),
    device: &Device,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let document = match device_document(device) {
        Ok(document) => document,
        Err(problems) => {
            tell(out, "device", &problems)?;
            bail!("the device cannot be used");
        }
    };
    if let Some(problem) = profile_problem(store, &device.profile).await? {
        bail!("{problem}");
    }
    store.put(&[document]).await.map_err(not_put)?;
    writeln!(out, "device {:?} is written", device.device_id)?;
    Ok(())
}

async fn import(
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
    for (line, problem) in problems.iter().take(PROBLEMS) {
        writeln!(out, "{name}:{line}: {problem}")?;
    }
    if !problems.is_empty() {
        bail!("{name} has {} problems, and nothing of it was written", problems.len());
    }
    let devices = rows.documents.len();
    progress.set_length(devices as u64);
    for (done, step) in (0..).step_by(STEP).zip(rows.documents.chunks(STEP)) {
        // Putting again what is there already changes nothing, so that the whole file can be tried again.
        let again = || format!("stopped behind {done} of {devices} devices; the same import again is safe");
        store.put(step).await.map_err(not_put).with_context(again)?;
        progress.inc(step.len() as u64);
    }
    progress.finish_and_clear();
    writeln!(out, "{devices} devices are written")?;
    Ok(())
}

/// What a CSV file has.
#[derive(Default)]
struct Rows {
    documents: Vec<(Key, String)>,
    /// Each profile with the first line that names it.
    profiles: BTreeMap<String, u64>,
    /// By line.
    problems: Vec<(u64, String)>,
}

fn read(name: &str, csv: impl Read) -> anyhow::Result<Rows> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv);
    let header = reader.headers().with_context(|| format!("{name} has no header that can be read"))?.clone();
    let column = |wanted: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}') == wanted);
    let (Some(id), Some(profile)) = (column("deviceId"), column("profile")) else {
        bail!(
            "{name} needs the columns deviceId and profile, and has: {}",
            header.iter().collect::<Vec<_>>().join(", ")
        );
    };
    let facility = column("facility");
    let known = [Some(id), Some(profile), facility];
    if let Some(other) = (0..header.len()).find(|&index| !known.contains(&Some(index))) {
        bail!("{name} has the column {:?}, which is none of deviceId, profile, facility", &header[other]);
    }
    let (mut rows, mut lines) = (Rows::default(), HashMap::<String, u64>::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            // A row that is not UTF-8 or has the wrong number of columns: the next one is read all the same.
            Err(error) if !error.is_io_error() => {
                rows.problems.push((error.position().map_or(0, csv::Position::line), error.to_string()));
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("{name} cannot be read")),
        };
        let line = record.position().map_or(0, csv::Position::line);
        let field = |index: usize| record.get(index).unwrap_or_default().to_owned();
        let facility = facility.map(field).filter(|facility| !facility.is_empty());
        let device = Device { device_id: field(id), profile: field(profile), facility };
        match device_document(&device) {
            Ok(document) => rows.documents.push(document),
            Err(problems) => {
                let told =
                    problems.into_iter().map(|problem| (line, format!("{}: {}", problem.field, problem.message)));
                rows.problems.extend(told);
                continue;
            }
        }
        if let Some(first) = lines.insert(device.device_id, line) {
            rows.problems.push((line, format!("deviceId: line {first} has the same")));
        }
        rows.profiles.entry(device.profile).or_insert(line);
    }
    Ok(rows)
}

/// What keeps a profile from being used, if anything does.
async fn profile_problem(store: &impl MasterData, id: &str) -> anyhow::Result<Option<String>> {
    let Some(document) = find(store, &Key::new(Kind::Profile, id)).await? else {
        return Ok(Some(format!("there is no profile {id:?}: put it first")));
    };
    let usable = parse_profile(&document).and_then(|profile| profile_document(&profile));
    Ok(usable.err().map(|_| format!("the profile {id:?} cannot be used: see myaku profile check")))
}

fn in_columns(key: &Key, document: &str) -> String {
    match parse_device(document) {
        Ok(device) => format!("{}\t{}\t{}", key.id, device.profile, device.facility.unwrap_or_default()),
        Err(_) => format!("{}\tcannot be used", key.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        list(store, Kind::Device, false, in_columns, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn a_file_of_devices_is_written_and_listed() {
        let store = store();
        // A byte order mark, as spreadsheets write it, spaces, another order of columns, a facility that is empty.
        let csv = "\u{feff}profile,deviceId,facility\nvital, bed-1 ,home-3\r\nvital,bed-2,\n";
        let (result, out) = imported(&store, csv).await;
        result.unwrap();
        assert_eq!(out, "2 devices are written\n");
        assert_eq!(devices(&store).await, "bed-1\tvital\thome-3\nbed-2\tvital\t\n");
    }

    #[tokio::test]
    async fn more_devices_than_a_page_of_any_kind_are_all_written() {
        let store = store();
        let csv = (0..1_234).fold("deviceId,profile\n".to_owned(), |csv, n| csv + &format!("bed-{n},vital\n"));
        imported(&store, &csv).await.0.unwrap();
        assert_eq!(devices(&store).await.lines().count(), 1_234);
    }

    #[tokio::test]
    async fn each_problem_has_its_line_and_field_and_then_nothing_is_written() {
        let store = store();
        let csv = "deviceId,profile,facility\nbed-1,vital,\nbed/2,vital,a#b\nbed-1,vital,\nbed-3,broken,\nbed-4,nowhere,\nbed-5\n,vital,\n";
        let (result, out) = imported(&store, csv).await;
        assert_eq!(result.unwrap_err().to_string(), "beds.csv has 7 problems, and nothing of it was written");
        let starts = [
            "beds.csv:3: deviceId: has one of / + #",
            "beds.csv:3: facility: has one of / + #",
            "beds.csv:4: deviceId: line 2 has the same",
            "beds.csv:5: profile: the profile \"broken\" cannot be used",
            "beds.csv:6: profile: there is no profile \"nowhere\"",
            "beds.csv:7: ",
            "beds.csv:8: deviceId: must not be empty",
        ];
        for (line, start) in out.lines().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
        assert_eq!(devices(&store).await, "");
    }

    #[tokio::test]
    async fn columns_that_are_missing_or_unknown_are_named() {
        let missing = imported(&store(), "id,profile\n").await.0.unwrap_err().to_string();
        assert_eq!(missing, "beds.csv needs the columns deviceId and profile, and has: id, profile");
        let unknown = imported(&store(), "deviceId,profile,facilty\n").await.0.unwrap_err().to_string();
        assert!(unknown.contains("\"facilty\""), "{unknown}");
    }

    #[tokio::test]
    async fn one_device_is_held_to_the_same_rules() {
        let (store, mut out) = (store(), Vec::new());
        let device =
            |id: &str, profile: &str| Device { device_id: id.to_owned(), profile: profile.to_owned(), facility: None };
        put(&store, &device("bed-1", "vital"), &mut out).await.unwrap();
        assert!(put(&store, &device("bed-2", "nowhere"), &mut out).await.is_err());
        assert!(put(&store, &device("bed\t3", "vital"), &mut out).await.is_err());
        assert_eq!(devices(&store).await, "bed-1\tvital\t\n");
        assert!(String::from_utf8(out).unwrap().ends_with("device: deviceId: has control characters\n"));
    }

    #[tokio::test]
    async fn an_import_into_a_store_that_is_down_is_an_error() {
        let store = store();
        store.fail(Remedy::SlowDown);
        assert!(imported(&store, "deviceId,profile\nbed-1,vital\n").await.0.is_err());
    }
}
