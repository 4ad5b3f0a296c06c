//! Writes facilities: their clocks, and who hears of their alerts.

use super::{print_problems, put_error};
use anyhow::bail;
use myaku::alert::Contact;
use myaku::device::registry::{Key, MasterDataWriter, facility_document, parse_facility};
use std::io::Write;

/// Writes the facilities of the files, each a name and its text, in place of those with the same names. Nothing is written unless all of
/// them are valid.
pub async fn put(
    store: &impl MasterDataWriter,
    files: &[(String, String)],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let (mut documents, mut invalid) = (Vec::<(Key, String)>::new(), 0);
    for (name, text) in files {
        match parse_facility(text).and_then(|facility| facility_document(&facility)) {
            Ok((key, _)) if documents.iter().any(|(other, _)| *other == key) => {
                writeln!(out, "{name}: facility: another of these files has {:?}, too", key.id)?;
                invalid += 1;
            }
            Ok(document) => documents.push(document),
            Err(problems) => {
                print_problems(out, name, &problems)?;
                invalid += 1;
            }
        }
    }
    if invalid > 0 {
        bail!("{invalid} of {} facilities cannot be used, so none was written; correct the fields above", files.len());
    }
    store.put(&documents).await.map_err(put_error)?;
    for (key, _) in documents {
        writeln!(out, "facility {:?} is written", key.id)?;
    }
    Ok(())
}

/// Formats a facility for a listing: name, time zone and contacts, separated by tabs.
pub fn columns(key: &Key, document: &str) -> String {
    let contact = |Contact { name, via, .. }: &Contact| format!("{name} ({})", via.name());
    match parse_facility(document) {
        Ok(facility) => {
            let contacts: Vec<_> = facility.contacts.iter().map(contact).collect();
            format!("{}\t{}\t{}", key.id, facility.zone, contacts.join(", "))
        }
        Err(_) => format!("{}\tcannot be used", key.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::list;
    use myaku::device::registry::{Kind, MemoryMasterData};

    async fn put_all(store: &MemoryMasterData, texts: &[&str]) -> (bool, String) {
        let files: Vec<_> = (1..).zip(texts).map(|(n, text)| (format!("{n}.json"), (*text).to_owned())).collect();
        let mut out = Vec::new();
        let done = put(store, &files, &mut out).await;
        (done.is_ok(), String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn nothing_is_written_unless_all_is_valid_and_each_problem_has_its_place() {
        let store = MemoryMasterData::new();
        let sample = include_str!("../../../events/facilities/home-3.json");
        let wrong = r#"{"facility":"home-4","zone":"Tokyo","contacts":[{"name":"a","via":"sms","to":"12"},{"name":"a","via":"topic"}]}"#;
        let typo = r#"{"facility":"home-5","contacts":[{"name":"a","via":"pigeon"}]}"#;
        let (is_done, out) = put_all(&store, &[sample, wrong, typo]).await;
        assert!(!is_done);
        insta::assert_snapshot!(out, @r#"
        2.json: zone: "Tokyo" is not in the database of time zones; write it as in Asia/Tokyo
        2.json: contacts[0].to: is not a telephone number with its country, such as +81312345678
        2.json: contacts[1].name: is the name of another contact as well
        3.json: contacts[0].via: unknown variant `pigeon`, expected one of `topic`, `sms`, `webhook`, `device`, `shadow` at line 1 column 59
        "#);
        assert_eq!(store.list(Kind::Facility, None, 9).await.unwrap().documents, []);

        let (is_done, out) = put_all(&store, &[sample]).await;
        assert_eq!((is_done, out.as_str()), (true, "facility \"home-3\" is written\n"));
        let mut out = Vec::new();
        list(&store, Kind::Facility, false, columns, &mut out).await.unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @"home-3	Asia/Tokyo	nurses (topic), ward system (webhook), corridor lamp (device), doctor on duty (sms)");
        let (is_done, out) = put_all(&store, &[sample, sample]).await;
        assert!(!is_done && out.contains("another of these files has \"home-3\", too"), "{out}");
    }
}
