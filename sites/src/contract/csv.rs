//! The file that the official program saves: `;` between columns, quotes, decimal commas, and the header
//! `"Messzeitpunkt";"Download (Mbit/s)";"Upload (Mbit/s)";"Laufzeit (ms)";"Test-ID";"Version";
//! "Betriebssystem";"Internet-Browser";"Uhrzeit"`.
//!
//! The time of day stands in `Uhrzeit`, or behind the date in `Messzeitpunkt`: files with either are
//! read, and one in which they contradict each other is refused.

use jiff::civil::{DateTime, Time};
use messnetz_metric::{BitRate, Down, Payload, Rate, Up};

use super::Measurement;
use crate::calendar;
use crate::delimited::{self, Record};
use crate::toml_file::{Document, Problem};

/// More measurements than anybody makes.
const MAX_ROWS: usize = 10_000;

/// Faster than any line (IEEE 802.3df), in Mbit/s.
const MAX_MBPS: u64 = 800_000;

/// Reads the measurements of one file.
///
/// # Errors
/// Every line that is not understood, or the first problem of syntax.
pub fn measurements(file: &str, text: &str) -> Result<Vec<Measurement>, Vec<Problem>> {
    let document = Document::new(file, text);
    let records = delimited::records(document, ';').map_err(|problem| vec![problem])?;
    let mut records = records.into_iter();
    let header = records.next();
    let column = |name: &str| {
        let fields = header.as_ref().map_or(&[][..], |header| &header.fields);
        let found = fields.iter().position(|field| field.text.trim() == name);
        found.ok_or_else(|| {
            let message = format!("no column \"{name}\": the file of the Breitbandmessung begins with \"Messzeitpunkt\";\"Download (Mbit/s)\";\"Upload (Mbit/s)\"");
            vec![document.problem(0, Some(name), message)]
        })
    };
    let columns = Columns {
        at: column("Messzeitpunkt")?,
        down: column("Download (Mbit/s)")?,
        up: column("Upload (Mbit/s)")?,
        time: column("Uhrzeit").ok(),
        test: column("Test-ID").ok(),
    };
    if records.len() > MAX_ROWS {
        let message = format!(
            "{} measurements are more than the {MAX_ROWS} that are read: a campaign has 30",
            records.len()
        );
        return Err(vec![document.problem(0, None, message)]);
    }
    let width = header.as_ref().map_or(0, |header| header.fields.len());
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for record in records {
        match columns.measurement(&record, width) {
            Ok((at, down, up)) => found.push(Measurement {
                at,
                down,
                up,
                test: columns
                    .test
                    .and_then(|index| record.text(index))
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned),
                file: file.to_owned(),
                line: document.line(record.offset(0)),
            }),
            Err((index, message)) if problems.len() < 100 => {
                problems.push(document.problem(record.offset(index), None, message));
            }
            Err(_) => {}
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

/// Where the columns stand.
struct Columns {
    at: usize,
    down: usize,
    up: usize,
    time: Option<usize>,
    test: Option<usize>,
}

/// When, download and upload.
type Row = (DateTime, Rate<Payload, Down>, Rate<Payload, Up>);

/// The column that was not understood, and why.
type Refused = (usize, String);

impl Columns {
    fn measurement(&self, record: &Record, width: usize) -> Result<Row, Refused> {
        // A number that is cut off is still a number.
        if record.fields.len() < width {
            let have = record.fields.len();
            let message = format!("the line has {have} of {width} columns: is the file cut off?");
            return Err((have, message));
        }
        Ok((
            self.time_of(record)?,
            Rate::new(rate(record, self.down)?),
            Rate::new(rate(record, self.up)?),
        ))
    }

    fn time_of(&self, record: &Record) -> Result<DateTime, Refused> {
        let text = record.text(self.at).unwrap_or_default();
        let (date, behind) = text.split_once([' ', 'T']).unwrap_or((text, ""));
        let beside = self
            .time
            .and_then(|index| record.text(index))
            .unwrap_or_default();
        let refused = |index: usize, what: &str, text: &str| {
            let shown: String = text.chars().take(30).collect();
            Err((index, format!("'{shown}' is no {what}")))
        };
        let Some(date) = calendar::date(date) else {
            return refused(self.at, "day (07.01.2022)", text);
        };
        let (index, time) = if behind.is_empty() {
            (self.time.unwrap_or(self.at), beside)
        } else {
            (self.at, behind)
        };
        let Some(time) = time_of_day(time) else {
            return refused(index, "time of day (22:02:04)", time);
        };
        let contradicts =
            !behind.is_empty() && !beside.is_empty() && time_of_day(beside) != Some(time);
        if contradicts {
            let message =
                format!("Messzeitpunkt and Uhrzeit contradict each other: {time} and '{beside}'");
            return Err((
                self.time.unwrap_or(self.at),
                message.chars().take(200).collect(),
            ));
        }
        Ok(date.to_datetime(time))
    }
}

/// `22:02:04` or `22:02`.
fn time_of_day(text: &str) -> Option<Time> {
    let parts: Vec<i8> = text
        .trim()
        .splitn(4, ':')
        .map(|part| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        })
        .collect::<Option<_>>()?;
    match parts[..] {
        [hour, minute] => Time::new(hour, minute, 0, 0).ok(),
        [hour, minute, second] => Time::new(hour, minute, second, 0).ok(),
        _ => None,
    }
}

/// A rate in Mbit/s with a decimal comma: `94,35`, `1.094,35`.
fn rate(record: &Record, index: usize) -> Result<BitRate, Refused> {
    let text = record.text(index).unwrap_or_default();
    bps(text).map(BitRate::from_bps).ok_or_else(|| {
        let shown: String = text.chars().take(30).collect();
        let message = format!("'{shown}' is no rate in Mbit/s with a decimal comma (94,35)");
        (index, message)
    })
}

/// In whole bit/s; digits after the sixth decimal are below one.
fn bps(text: &str) -> Option<u64> {
    let (whole, fraction) = match text.split_once(',') {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // A dot groups thousands. 94.350 without a comma is refused: it may mean either number.
    let groups: Vec<&str> = whole.split('.').take(4).collect();
    let grouped = groups.len() == 1
        || (text.contains(',') && groups[1..].iter().all(|group| group.len() == 3));
    let sound = grouped
        && groups
            .iter()
            .all(|group| !group.is_empty() && digits(group))
        && digits(fraction)
        && fraction.len() <= 12
        && !text.ends_with(',');
    if !sound {
        return None;
    }
    let mbps: u64 = groups.concat().parse().ok()?;
    let micros = format!("{:0<6}", fraction.get(..6).unwrap_or(fraction));
    (mbps <= MAX_MBPS).then(|| mbps * 1_000_000 + micros.parse::<u64>().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    const HEADER: &str = "\"Messzeitpunkt\";\"Download (Mbit/s)\";\"Upload (Mbit/s)\";\"Laufzeit (ms)\";\"Test-ID\";\"Version\";\"Betriebssystem\";\"Internet-Browser\";\"Uhrzeit\"\n";

    fn read(rows: &str) -> Result<Vec<Measurement>, Vec<String>> {
        measurements("m.csv", &format!("{HEADER}{rows}"))
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_row_of_the_official_file_is_read_to_the_bit() {
        let rows = "\"07.01.2022\";\"94,35\";\"39,1\";\"12\";\"A-1\";\"3.1\";\"Windows\";\"App\";\"22:02:04\"\r\n";
        let found = read(rows).unwrap();
        assert_eq!(
            found,
            [Measurement {
                at: date(2022, 1, 7).at(22, 2, 4, 0),
                down: Rate::new(BitRate::from_bps(94_350_000)),
                up: Rate::new(BitRate::from_bps(39_100_000)),
                test: Some("A-1".to_owned()),
                file: "m.csv".to_owned(),
                line: 2,
            }]
        );
    }

    #[test]
    fn the_time_may_stand_behind_the_date() {
        for at in [
            "07.01.2022 22:02:04",
            "2022-01-07T22:02:04",
            "2022-01-07 22:02:04",
        ] {
            let found = read(&format!("{at};1;1;;;;;;\n")).unwrap();
            assert_eq!(found[0].at, date(2022, 1, 7).at(22, 2, 4, 0));
        }
        let agreeing = "07.01.2022 22:02:04;1;1;;;;;;22:02:04";
        assert!(read(agreeing).is_ok());
    }

    #[test]
    fn a_rate_has_a_decimal_comma() {
        for (text, expected) in [
            ("0", Some(0)),
            ("94,35", Some(94_350_000)),
            ("1.094,3", Some(1_094_300_000)),
            ("1094", Some(1_094_000_000)),
            ("0,0000019", Some(1)),
            ("94.35", None),
            ("94.350", None),
            ("1.09,3", None),
            ("-1", None),
            ("1e3", None),
            ("", None),
            (",5", None),
            ("5,", None),
            ("800001", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(bps(text), expected, "{text}");
        }
    }

    #[test]
    fn every_row_that_is_wrong_is_named() {
        let rows = "07.01.2022;94,35;1;;;;;;22:02:04\n\
                    31.02.2022;94,35;1;;;;;;22:02:04\n\
                    07.01.2022;94.35;1;;;;;;22:02:04\n\
                    07.01.2022;94,35;1;;;;;;25:02:04\n\
                    07.01.2022 10:00:00;94,35;1;;;;;;22:02:04\n\
                    07.01.2022\n";
        insta::assert_snapshot!(read(rows).unwrap_err().join("\n"));
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused_wherever_it_is_cut() {
        let row = "07.01.2022;94,35;39,15;12;A-1;3.1;Windows;App;22:02:04";
        for end in row.rfind(':').unwrap() + 1..row.len() {
            assert!(read(&row[..end]).is_err(), "{}", &row[..end]);
        }
        let mut cut: Vec<usize> = row.match_indices(';').map(|(at, _)| at).collect();
        cut.push(row.find(",15").unwrap());
        for end in cut {
            let problems = read(&row[..end]).unwrap_err();
            assert!(problems[0].contains("is the file cut off?"), "{problems:?}");
        }
        let many = format!("{row}\n").repeat(MAX_ROWS + 1);
        assert!(read(&many).unwrap_err()[0].contains("10001 measurements"));
    }

    #[test]
    fn another_file_is_refused_by_its_header() {
        for text in ["", "from,to,name\n", "\"Messzeitpunkt\";\"Download\"\n"] {
            let problems = measurements("m.csv", text).unwrap_err();
            assert!(problems[0].message.starts_with("no column"), "{text}");
        }
        assert_eq!(read("").unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,120}", rows in "[0-9.,;:T\"\n -]{0,80}") {
            let _ = measurements("m.csv", &text);
            let _ = read(&text);
            let _ = read(&rows);
        }
    }
}
