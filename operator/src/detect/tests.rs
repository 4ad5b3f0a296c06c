//! What is read from a file, what is found in it, and how it is shown.

use super::*;
use serde_json::json;

fn read(text: &str) -> Result<Series, SeriesError> {
    Series::from_csv("bed-17", text.as_bytes(), &Columns::default())
}

/// A pulse each minute, and at some minutes another value.
fn pulse(minutes: i64, except: &[(i64, f64)]) -> Series {
    let value = |minute: i64| except.iter().find(|(at, _)| *at == minute).map_or((60 + minute % 7) as f64, |at| at.1);
    let line = |minute: i64| format!("{},{}\n", 1_795_219_200 + minute * 60, value(minute));
    read(&(0..minutes).map(line).collect::<String>()).unwrap()
}

#[test]
fn a_header_is_optional_and_names_choose_the_columns() {
    let expected =
        [(1_392_388_200_000, 61.5), (1_392_388_260_000, 62.0)].map(|(at_ms, value)| Reading { at_ms, value });
    for text in [
        "timestamp,value\n2014-02-14 14:30:00,61.5\n2014-02-14 14:31:00,62\n",
        "2014-02-14T14:30:00Z,61.5\n2014-02-14T14:31:00Z,62\n",
        "1392388200, 61.5\n\n1392388260, 62\n",
        "t,x,score\n1392388200000,61.5,0\n1392388260000,62,0\n",
    ] {
        let series = read(text).unwrap();
        assert_eq!((series.readings.as_slice(), series.left_out()), (expected.as_slice(), 0), "{text}");
    }
    let columns = Columns { time: Some("at".to_owned()), value: Some("pulse".to_owned()) };
    let text = "who,pulse,at\na,61.5,1392388200\nb,62,1392388260\n";
    assert_eq!(Series::from_csv("bed-17", text.as_bytes(), &columns).unwrap().readings, expected);
    let error = Series::from_csv("bed-17", "1,2\n3,4\n".as_bytes(), &columns).unwrap_err();
    assert_eq!(error.to_string(), "no column has the name \"at\"; the columns are 1, 2");
}

#[test]
fn a_bad_line_costs_only_itself_and_is_named_with_its_problem() {
    let bad = b"t,x\n1,1\nnoon,2\n3,high\n4,inf\n5\n,6\n7,\xff\n8,8\n9,\n";
    let series = Series::from_csv("bed-17", bad.as_slice(), &Columns::default()).unwrap();
    assert_eq!(series.readings, [(1_000, 1.0), (8_000, 8.0)].map(|(at_ms, value)| Reading { at_ms, value }));
    let problems: Vec<String> = series.problems.iter().map(LineProblem::to_string).collect();
    assert_eq!(
        problems,
        [
            "line 3: \"noon\" is not a time such as 2014-02-14 14:30:00, 2014-02-14T14:30:00Z or 1392388200",
            "line 4: \"high\" is not a number",
            "line 5: inf is not a finite number",
            "line 6: the value is missing",
            "line 7: the time is missing",
        ]
    );
    assert_eq!((series.more_problems, series.left_out()), (2, 7));
}

#[test]
fn a_first_line_that_is_half_right_is_a_bad_line_and_not_a_header() {
    let series = read("1,many\n2,2\n").unwrap();
    assert_eq!(
        (series.readings.len(), series.problems[0].to_string()),
        (1, "line 1: \"many\" is not a number".to_owned())
    );
}

#[test]
fn a_file_without_a_reading_is_an_error_that_says_what_a_line_needs() {
    let needs = "each line needs a time and a value, such as 2014-02-14 14:30:00,61.5";
    assert_eq!(read("").unwrap_err().to_string(), format!("the file has no reading; {needs}"));
    assert_eq!(
        read("t,x\n1,high\n").unwrap_err().to_string(),
        format!("the file has no reading (line 2: \"high\" is not a number); {needs}")
    );
}

#[test]
fn alarms_are_shown_as_stretches_with_their_worst_reading_and_its_reason() {
    // The second value is more than twice as bad, so it is reported within the silence.
    let detection = detect(&pulse(900, &[(400, 90.0), (420, 300.0), (700, 5.0)]), 0.26, None);
    insta::assert_snapshot!(detection.to_text(), @r"
    bed-17: 900 readings, 2 stretches of alarms
     from                  to                    alarms  worst at              value  score  rule   reason
     2026-11-21T06:40:00Z  2026-11-21T07:00:00Z  2       2026-11-21T07:00:00Z  300    0.97   score  level: the value is above its usual peaks
     2026-11-21T11:40:00Z                        1       2026-11-21T11:40:00Z  5      0.94   score  level: the value is below its usual lows
    ");
    let json = serde_json::to_value(&detection).unwrap();
    assert_eq!((&json["readings"], &json["leftOut"], &json["threshold"]), (&json!(900), &json!(0), &json!(0.26)));
    let mut last = json["stretches"][1].clone();
    last["score"] = json!((last["score"].as_f64().unwrap() * 100.0).round() / 100.0);
    let at = 1_795_261_200_000_i64;
    let reason = "level: the value is below its usual lows";
    assert_eq!(
        last,
        json!({"rule": "score", "from": at, "to": at, "alarms": 1, "at": at, "value": 5.0, "score": 0.94, "reason": reason})
    );
}

#[test]
fn a_series_without_alarms_is_one_line() {
    assert_eq!(detect(&pulse(200, &[]), 0.26, None).to_text(), "bed-17: 200 readings, no alarm from 0.26 on");
    assert_eq!(detect(&pulse(1, &[]), 0.26, None).to_text(), "bed-17: 1 reading, no alarm from 0.26 on");
    let half = read("1,1\n2\n").unwrap();
    let text = detect(&half, 0.26, None).to_text();
    assert_eq!(text, "bed-17: 1 reading, 1 line left out, no alarm from 0.26 on");
}

#[test]
fn a_higher_threshold_leaves_milder_alarms_out() {
    let series = pulse(900, &[(400, 71.0), (700, 300.0)]);
    assert_eq!(detect(&series, 0.26, None).stretches.len(), 2);
    let detection = detect(&series, 0.9, None);
    assert_eq!(detection.stretches.iter().map(|stretch| stretch.value).collect::<Vec<_>>(), [300.0]);
}

#[test]
fn a_picture_has_the_curves_and_a_mark_for_each_stretch_in_both_panels() {
    let series = pulse(900, &[(400, 300.0), (700, 5.0)]);
    let picture = plot(&series, &detect(&series, 0.26, None)).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("bed-17"));
    assert_eq!(picture.matches("<circle").count(), 4);
    assert!(!picture.contains("fill=\"#FFFFFF\""), "it has no background, so that dark pages show it too");
}

#[test]
fn a_picture_of_any_series_can_be_drawn_and_a_long_one_is_not_large() {
    for series in [pulse(1, &[]), read("1,5\n1,5\n").unwrap(), read("1,-1e300\n2,1e300\n").unwrap()] {
        plot(&series, &detect(&series, 0.26, None)).unwrap();
    }
    let series = pulse(50_000, &[]);
    assert!(plot(&series, &detect(&series, 0.26, None)).unwrap().len() < 120_000);
}

#[test]
fn incidents_of_rules_stand_beside_the_alarms_of_the_score() {
    let profile = br#"{"id": "p", "metrics": {"pulse": {"unit": "1/min", "alerts": [
            {"name": "high", "when": {"threshold": {"above": 100}}, "forSeconds": 60},
            {"name": "gap", "when": {"gap": {"seconds": 600}}}]}, "m": {}},
        "versions": [{"name": "1", "format": "json", "fields": [{"metric": "pulse", "from": "p"}, {"metric": "m", "from": "m"}]}]}"#;
    let rules = Rules::new(profile, "pulse").unwrap();
    let series = pulse(900, &[(400, 130.0), (401, 131.0), (402, 132.0)]);
    insta::assert_snapshot!(detect(&series, 0.26, Some(&rules)).to_text(), @r"
    bed-17: 900 readings, 2 stretches of alarms
     from                  to                    alarms  worst at              value  score  rule   reason
     2026-11-21T06:40:00Z                        1       2026-11-21T06:40:00Z  130    0.97   score  spread: the last 64 readings or so vary more than they usually do
     2026-11-21T06:40:00Z  2026-11-21T06:43:00Z  1       2026-11-21T06:41:00Z  131           high   pulse is 131 1/min, above 100 1/min, for 60 s.
    ");
    assert_eq!(Rules::new(profile, "m").unwrap_err(), RulesError::NoRules("m".to_owned(), "pulse".to_owned()));
    assert!(Rules::new(b"{}", "m").unwrap_err().to_string().contains("id"));
}
