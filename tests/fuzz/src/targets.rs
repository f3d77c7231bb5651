//! What is fuzzed: a name, inputs to begin with, and what is done to each. A target says in a line what it
//! made of the input, beginning with "ok" where it understood it, and panics where a promise is broken.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use messnetz_sites::facts::Facts;
use messnetz_sites::formula::Formula;
use messnetz_sites::inventory::{Sheet, enter, template_csv, template_xlsx};
use messnetz_sites::roster::{
    Entry, Finding, Mapping, MergeError, Roster, Table, merge, to_csv, to_geojson, to_xlsx,
};
use messnetz_sites::site::{Authority, EXAMPLE};
use messnetz_sites::target::Profiles;
use zip::write::SimpleFileOptions;

use crate::{batches, datagrams, iperf3, locate, quote, schedules, spool};

/// One reader, with all that a user would have done to what it read.
pub(crate) struct Target {
    /// Its name on the command line, and its folder in the corpus.
    pub(crate) name: &'static str,
    /// Inputs that are not files of the corpus, because they stand elsewhere or are made.
    pub(crate) seeds: fn() -> Result<Vec<Vec<u8>>>,
    /// Words of its format.
    pub(crate) words: &'static [&'static str],
    /// What it makes of an input.
    pub(crate) run: fn(&[u8]) -> String,
}

/// All targets.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "roster",
        seeds: rosters,
        words: LIST_WORDS,
        run: roster,
    },
    Target {
        name: "workbook",
        seeds: workbooks,
        words: &[
            "PK\u{1}\u{2}",
            "PK\u{3}\u{4}",
            "PK\u{5}\u{6}",
            "xl/workbook.xml",
        ],
        run: roster,
    },
    Target {
        name: "worksheet",
        seeds: || Ok(Vec::new()),
        words: SHEET_WORDS,
        run: |sheet| roster(&around(sheet)),
    },
    Target {
        name: "inventory",
        seeds: || Ok(vec![template_csv()?, filled_template()?]),
        words: LIST_WORDS,
        run: inventory,
    },
    Target {
        name: "mapping",
        seeds: mappings,
        words: TOML_WORDS,
        run: mapping,
    },
    Target {
        name: "site-file",
        seeds: || Ok(vec![EXAMPLE.as_bytes().to_vec()]),
        words: TOML_WORDS,
        run: site_file,
    },
    Target {
        name: "iperf3",
        seeds: || Ok(iperf3::seeds()),
        words: iperf3::WORDS,
        run: iperf3::run,
    },
    Target {
        name: "locate",
        seeds: || Ok(vec![locate::SEED.to_vec()]),
        words: locate::WORDS,
        run: locate::run,
    },
    Target {
        name: "batch",
        seeds: || Ok(batches::seeds()),
        words: batches::WORDS,
        run: batches::run,
    },
    Target {
        name: "schedule",
        seeds: || Ok(schedules::seeds()),
        words: schedules::WORDS,
        run: schedules::run,
    },
    Target {
        name: "spool",
        seeds: spool::seeds,
        words: spool::WORDS,
        run: spool::run,
    },
    Target {
        name: "stun",
        seeds: || Ok(datagrams::stun_seeds()),
        words: datagrams::WORDS,
        run: datagrams::stun,
    },
    Target {
        name: "ntp",
        seeds: || Ok(datagrams::ntp_seeds()),
        words: datagrams::WORDS,
        run: datagrams::ntp,
    },
    Target {
        name: "quote",
        seeds: || Ok(quote::seeds()),
        words: &["\u{b}", "\u{3}", "E", "F", "`", "\u{0}", "\u{11}", ":"],
        run: quote::run,
    },
    Target {
        name: "formula",
        seeds: || Ok(vec![b"min(1000, 30 * (classes + 1))".to_vec()]),
        words: &[
            "classes",
            "pupils",
            "users",
            "min(",
            "below(",
            "max(",
            "(",
            ")",
            ",",
            "/",
            "*",
            "-",
            "0",
            "1e9",
            "0.5",
            " ",
            "99999999999999999999",
        ],
        run: formula,
    },
];

const LIST_WORDS: &[&str] = &[
    ";",
    ",",
    "\t",
    "|",
    "\"",
    "\"\"",
    "\n",
    "\r\n",
    "sep=;\n",
    "null",
    "\u{feff}",
    "0",
    "-1",
    "1e9",
    "1000000000",
    "NaN",
    "5707000",
    "1.234",
    "100001",
    "ü",
    "Ã¼",
    "[",
    "{",
    "}",
    "]",
    ":",
    "Beispiel",
    "NW-100001",
    "31.12.2025",
];

const SHEET_WORDS: &[&str] = &[
    "<row r=\"1\">",
    "<row r=\"1048577\">",
    "<c r=\"XFD1\">",
    "<c r=\"A4294967296\">",
    "<v>",
    "</v>",
    "</c>",
    "</row>",
    " t=\"s\"",
    " t=\"inlineStr\"",
    " t=\"b\"",
    " t=\"d\"",
    "<is><t>",
    "&#0;",
    "&x;",
    "<f>1+1</f>",
    "<![CDATA[",
    "<!--",
    "4294967295",
];

const TOML_WORDS: &[&str] = &[
    "[[school]]\n",
    "[[school.site]]\n",
    "[authority]\n",
    "[columns]\n",
    "[forms]\n",
    "id = ",
    "name = ",
    "\"",
    "'''",
    "=",
    "[",
    "]",
    "{",
    "}",
    ".",
    "\n",
    "1e999",
    "-1",
    "9223372036854775807",
    "2026-02-30",
    "facts.",
    "inventory.",
    "imported.",
    "no-school",
    "null",
    "#",
];

/// The fictitious lists that the tests of the crate read.
fn rosters() -> Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sites/tests/rosters");
    let mut files = Vec::new();
    for entry in
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        files.push(entry?.path());
    }
    files.sort();
    files.iter().map(|file| Ok(fs::read(file)?)).collect()
}

fn workbooks() -> Result<Vec<Vec<u8>>> {
    let authority = Authority::parse("example", EXAMPLE)
        .map_err(|problems| anyhow::anyhow!("the example: {problems:?}"))?;
    Ok(vec![to_xlsx(&authority)?, template_xlsx()?])
}

/// A workbook whose only sheet is `sheet`: damage within the compressed parts would end at a check sum.
fn around(sheet: &[u8]) -> Vec<u8> {
    const PARTS: [(&str, &str); 4] = [
        (
            "[Content_Types].xml",
            r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>"#,
        ),
        (
            "_rels/.rels",
            r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
        ),
        (
            "xl/workbook.xml",
            r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="A" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
    ];
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let parts = PARTS.map(|(name, text)| (name, text.as_bytes()));
    for (name, part) in parts
        .into_iter()
        .chain([("xl/worksheets/sheet1.xml", sheet)])
    {
        archive
            .start_file(name, options)
            .expect("memory takes a part");
        archive.write_all(part).expect("memory takes bytes");
    }
    archive.finish().expect("memory takes an end").into_inner()
}

fn filled_template() -> Result<Vec<u8>> {
    let template = String::from_utf8(template_csv()?)?;
    Ok(template.replace("Beispiel;", "NW-100001;").into_bytes())
}

fn mappings() -> Result<Vec<Vec<u8>>> {
    let mapping = Mapping::guess(&table().header)?;
    Ok(vec![mapping.to_toml().into_bytes()])
}

/// The list that mappings are tried on.
fn table() -> Table {
    const LIST: &str = "Nummer;Name;Schulart;Ost;Nord;EPSG;Status;Schüler\n\
                        NW-1;Schule A;Grundschule;396000;5707000;25832;1;200\n\
                        2;Schule B;Versuchsschule;7,5;51,5;4326;0;1.200\n";
    Table::read(LIST.as_bytes()).expect("the list is a table")
}

/// The kinds of findings, without what they quote.
fn kinds(findings: &[Finding]) -> String {
    let kinds: BTreeSet<String> = findings
        .iter()
        .map(|finding| {
            let written = format!("{:?}", finding.reason);
            let name = written.split(|c: char| !c.is_alphanumeric()).next();
            name.unwrap_or_default().to_owned()
        })
        .collect();
    format!("{kinds:?}")
}

fn roster(bytes: &[u8]) -> String {
    let table = match Table::read(bytes) {
        Ok(table) => table,
        Err(error) => return error.to_string().chars().take(60).collect(),
    };
    let Ok(mapping) = Mapping::guess(&table.header) else {
        return format!("no mapping, {} columns", table.header.len());
    };
    written_and_read_again(&table, &mapping)
}

/// Reads by the mapping, and holds what an import promises: what was read can be written, and the same
/// list again changes nothing.
fn written_and_read_again(table: &Table, mapping: &Mapping) -> String {
    let roster = match Roster::read(table, mapping) {
        Ok(roster) => roster,
        Err(error) => return error.to_string().chars().take(40).collect(),
    };
    let entries: Vec<&Entry> = roster.entries.iter().collect();
    match merge("a.toml", "", "A", Profiles::built_in(), &roster, &entries) {
        Ok(merged) => {
            assert_eq!(merged.new.len(), entries.len());
            let again = merge(
                "a.toml",
                &merged.text,
                "A",
                Profiles::built_in(),
                &roster,
                &entries,
            )
            .expect("what an import wrote can be imported into");
            assert_eq!(
                again.text, merged.text,
                "the same list again changes nothing"
            );
            assert_eq!(again.unchanged, entries.len());
            let authority =
                Authority::parse("a.toml", &merged.text).expect("what was merged is a site file");
            exported(&authority);
        }
        Err(MergeError::NoSchool) => assert!(entries.is_empty()),
        Err(error) => panic!("what was read cannot be written: {error:?}"),
    }
    let forms: BTreeSet<&str> = entries.iter().map(|entry| entry.form.name()).collect();
    format!(
        "ok {} {:?} {:?} {forms:?} {}",
        roster.list,
        roster.encoding,
        roster.left_out,
        kinds(&roster.findings),
    )
}

fn exported(authority: &Authority) {
    let sites = authority.sites().count();
    let csv = Table::read(&to_csv(authority).expect("CSV is written")).expect("CSV is read");
    assert_eq!(csv.rows.len(), sites, "{:?}", csv.findings);
    let xlsx = Table::read(&to_xlsx(authority).expect("XLSX is written")).expect("XLSX is read");
    assert_eq!(xlsx.rows.len(), sites, "{:?}", xlsx.findings);
    to_geojson(authority).expect("GeoJSON is written");
}

fn inventory(bytes: &[u8]) -> String {
    let sheet = match Sheet::read(bytes) {
        Ok(sheet) => sheet,
        Err(error) => return error.to_string().chars().take(60).collect(),
    };
    let entered = enter("a.toml", EXAMPLE, Profiles::built_in(), &sheet)
        .expect("what was read can be entered");
    let again =
        enter("a.toml", &entered.text, Profiles::built_in(), &sheet).expect("and entered again");
    assert_eq!(again.findings.len(), entered.findings.len());
    Authority::parse("a.toml", &entered.text).expect("what was entered is a site file");
    format!(
        "ok {} {} {}",
        kinds(&sheet.findings),
        kinds(&entered.findings),
        entered.entered.len().min(20),
    )
}

fn mapping(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return "no text".to_owned();
    };
    match Mapping::parse("mapping.toml", text) {
        Ok(mapping) => {
            let saved = Mapping::parse("mapping.toml", &mapping.to_toml());
            assert_eq!(saved.as_ref(), Ok(&mapping), "a saved mapping is the same");
            written_and_read_again(&table(), &mapping)
        }
        Err(problem) => message(&problem.to_string()),
    }
}

fn site_file(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return "no text".to_owned();
    };
    let list = table();
    let mut by = Mapping::guess(&list.header).expect("the list has number and name");
    by.state = Some("NW".to_owned());
    let roster = Roster::read(&list, &by).expect("the list has the columns");
    let entries: Vec<&Entry> = roster.entries.iter().collect();
    let merged = merge("a.toml", text, "A", Profiles::built_in(), &roster, &entries);
    match Authority::parse("a.toml", text) {
        Ok(authority) => {
            exported(&authority);
            if let Ok(merged) = merged {
                let after = Authority::parse("a.toml", &merged.text).expect("it is still usable");
                for school in &authority.schools {
                    let kept = after.school(&school.id).expect("no school is removed");
                    assert!(kept.sites.len() >= school.sites.len());
                    assert!(kept.inventory == school.inventory, "no fact is lost");
                }
                return format!("ok {} {}", merged.changed.len(), merged.kept.len());
            }
            format!("ok, but {merged:?}").chars().take(80).collect()
        }
        Err(problems) => problems
            .first()
            .map_or_else(String::new, |problem| message(&problem.to_string())),
    }
}

/// A problem without its place and what it quotes.
fn message(problem: &str) -> String {
    let letters = problem.chars().filter(|c| !c.is_ascii_digit());
    let said: String = letters.collect();
    let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    let words: Vec<&str> = said.split(' ').filter(plain).take(8).collect();
    format!("refused: {}", words.join(" "))
}

fn formula(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return "no text".to_owned();
    };
    let formula: Formula = match text.parse() {
        Ok(formula) => formula,
        Err(error) => {
            let error: messnetz_sites::formula::FormulaError = error;
            return message(&error.to_string());
        }
    };
    assert_eq!(
        formula.to_string().parse().as_ref(),
        Ok(&formula),
        "a formula written down is the same formula"
    );
    let some = Facts {
        classes: Some(12),
        pupils: Some(0),
        teachers: Some(5_000),
        ..Facts::default()
    };
    let mut answers = String::from("ok");
    for facts in [Facts::default(), some] {
        let explained = formula.explain(&facts);
        assert!(!explained.is_empty());
        match formula.evaluate(&facts) {
            Ok(value) => {
                assert!(value.is_finite(), "{text}: {value}");
                answers.push_str(if value == 0.0 { " zero" } else { " value" });
            }
            Err(error) => {
                answers.push(' ');
                answers.push_str(&error.to_string());
            }
        }
    }
    answers
}
