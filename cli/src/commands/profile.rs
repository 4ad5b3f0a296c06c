//! `myaku profile`: checks profiles as the functions will read them, and keeps them in the registry.

use super::registry::{Table, list, not_put, show, tell};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use myaku::device::registry::{Key, Kind, MasterDataWriter, parse_profile, profile_document};
use std::io::{self, Write};
use std::path::PathBuf;

/// The commands of `myaku profile`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Says what is wrong with profiles, by field; needs no connection.
    Check {
        /// JSON files, one profile each.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Checks profiles and writes them, over what is there. Functions use them within a minute.
    Put {
        /// JSON files, one profile each. None is written unless all are good.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        table: Table,
    },
    /// Lists the profiles: id and description, separated by a tab.
    List {
        /// Whole profiles instead, one on each line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        table: Table,
    },
    /// Shows one profile.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        table: Table,
    },
}

/// Runs the command. Problems are printed, and then an error says how many files have some.
pub(super) async fn run(command: Command) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Check { files } => {
            for (key, _) in check(&read(&files)?, out)? {
                writeln!(out, "profile {:?} is good", key.id)?;
            }
            Ok(())
        }
        Command::Put { files, table } => put(&table.connect().await, &read(&files)?, out).await,
        Command::List { json, table } => list(&table.connect().await, Kind::Profile, json, described, out).await,
        Command::Show { id, table } => show(&table.connect().await, Key::new(Kind::Profile, id), out).await,
    }
}

/// The files' texts, each with its name.
fn read(files: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let read = files.iter().map(|file| {
        let name = file.display().to_string();
        let bytes = std::fs::read(file).with_context(|| format!("{name} cannot be read"))?;
        let text = String::from_utf8(bytes).with_context(|| format!("{name} is no UTF-8 text"))?;
        Ok((name, text))
    });
    read.collect()
}

/// The documents of the files, if all of them are good.
fn check(files: &[(String, String)], out: &mut impl Write) -> anyhow::Result<Vec<(Key, String)>> {
    let mut documents = Vec::<(Key, String)>::new();
    let mut bad = 0;
    for (name, text) in files {
        match parse_profile(text).and_then(|profile| profile_document(&profile)) {
            Ok((key, _)) if documents.iter().any(|(other, _)| *other == key) => {
                writeln!(out, "{name}: id: another of these files has {:?}, too", key.id)?;
                bad += 1;
            }
            Ok(document) => documents.push(document),
            Err(problems) => {
                tell(out, name, &problems)?;
                bad += 1;
            }
        }
    }
    if bad > 0 {
        bail!("{bad} of {} profiles cannot be used", files.len());
    }
    Ok(documents)
}

async fn put(store: &impl MasterDataWriter, files: &[(String, String)], out: &mut impl Write) -> anyhow::Result<()> {
    let documents = check(files, out)?;
    store.put(&documents).await.map_err(not_put)?;
    for (key, _) in documents {
        writeln!(out, "profile {:?} is written", key.id)?;
    }
    Ok(())
}

fn described(key: &Key, document: &str) -> String {
    match parse_profile(document) {
        Ok(profile) => format!("{}\t{}", key.id, profile.description),
        Err(_) => format!("{}\tcannot be used", key.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use myaku::device::registry::MemoryMasterData;
    use myaku::platform::errors::Remedy;

    const GOOD: &str = r#"{"id":"vital","description":"A band","metrics":{"t":{"unit":"°C"}},
        "versions":[{"name":"1","format":"json","fields":[{"metric":"t","from":"t"}]}]}"#;

    fn files(texts: &[&str]) -> Vec<(String, String)> {
        (1..).zip(texts).map(|(n, text)| (format!("{n}.json"), (*text).to_owned())).collect()
    }

    #[tokio::test]
    async fn what_is_put_is_listed_and_shown() {
        let (store, mut out) = (MemoryMasterData::new(), Vec::new());
        put(&store, &files(&[GOOD]), &mut out).await.unwrap();
        list(&store, Kind::Profile, false, described, &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "profile \"vital\" is written\nvital\tA band\n");

        let mut out = Vec::new();
        show(&store, Key::new(Kind::Profile, "vital"), &mut out).await.unwrap();
        assert_eq!(parse_profile(&String::from_utf8(out).unwrap()).unwrap(), parse_profile(GOOD).unwrap());
        let error = show(&store, Key::new(Kind::Profile, "other"), &mut Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no profile \"other\"");
    }

    #[tokio::test]
    async fn one_bad_file_keeps_all_from_being_written_and_each_problem_names_its_field() {
        let (store, mut out) = (MemoryMasterData::new(), Vec::new());
        let bad = GOOD.replace("\"metric\":\"t\"", "\"metric\":\"u\"");
        let misspelt = GOOD.replace("description", "descripton");
        let error = put(&store, &files(&[GOOD, &bad, &misspelt, GOOD, "{"]), &mut out).await.unwrap_err();
        assert_eq!(error.to_string(), "4 of 5 profiles cannot be used");
        let out = String::from_utf8(out).unwrap();
        let starts = ["2.json: versions[0].fields[0].metric: ", "3.json: ", "4.json: id: ", "5.json: "];
        for start in starts {
            assert!(out.lines().any(|line| line.starts_with(start)), "{start} is not in {out}");
        }
        assert!(out.contains("descripton"), "{out}");
        assert_eq!(store.list(Kind::Profile, None, 10).await.unwrap().documents, []);
    }

    #[tokio::test]
    async fn a_store_that_is_down_is_an_error_that_names_what_was_not_written() {
        let store = MemoryMasterData::new();
        store.fail(Remedy::Retry);
        let error = put(&store, &files(&[GOOD]), &mut Vec::new()).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("1 documents were not written (vital): "), "{error:#}");
    }
}
