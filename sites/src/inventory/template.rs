//! The empty sheet, with examples and, in the workbook, a second sheet that explains every fact.

use rust_xlsxwriter::{DataValidation, Format, Formula, Workbook, XlsxError};

use super::sheet::{COLUMNS, DEVICES, EXAMPLE};
use super::{DeviceKind, InventoryFact};
use crate::roster::{ExportError, workbook};

/// Rows for which the workbook offers the list of facts.
const OFFERED_ROWS: u32 = 5_000;

/// What the facts mean, for those who fill the sheet in.
const fn explained(fact: InventoryFact) -> (&'static str, &'static str) {
    match fact {
        InventoryFact::Rooms => (
            "alle Räume der Schule, auch Fach-, Verwaltungs- und Nebenräume",
            "48",
        ),
        InventoryFact::RoomsTeaching => ("Räume, in denen Unterricht stattfindet", "32"),
        InventoryFact::AccessPoints => ("fest montierte Access Points", "34"),
        InventoryFact::RoomsWithAccessPoint => {
            ("Unterrichtsräume mit eigenem Access Point im Raum", "30")
        }
        InventoryFact::SocketsPerRoom => {
            ("Netzwerk-Doppeldosen je Unterrichtsraum, im Mittel", "2,5")
        }
        InventoryFact::Cabling => ("Klasse, zu der die meisten Strecken gehören", "Cat 6A"),
        InventoryFact::RoomsWithDisplay => (
            "Unterrichtsräume mit Beamer, Bildschirm oder digitaler Tafel",
            "28",
        ),
        InventoryFact::SupportFte => (
            "Personal für die IT-Betreuung dieser Schule, auch anteilig",
            "0,4",
        ),
        InventoryFact::ServiceHoursAgreed => (
            "Stunden, in denen eine Störung laut Vereinbarung behoben sein soll",
            "24",
        ),
        InventoryFact::ServiceKeptPercent => (
            "Anteil der Störungen, die in dieser Zeit behoben wurden",
            "92",
        ),
        InventoryFact::Ups => (
            "unterbrechungsfreie Stromversorgung am zentralen Netzverteiler",
            "ja",
        ),
        InventoryFact::SecondLine => ("zweiter Internetanschluss, der einspringt", "nein"),
        InventoryFact::TeachersTrained => (
            "Lehrkräfte, die in den letzten zwei Jahren an einer Fortbildung zu digitalen Medien teilgenommen haben",
            "18",
        ),
    }
}

/// The example rows, as they stand under the header.
fn examples() -> Vec<[String; COLUMNS.len()]> {
    let mut rows = Vec::new();
    let mut row = |what: &str, kind: &str, year: &str, value: &str, note: &str| {
        rows.push(
            [
                EXAMPLE,
                "",
                what,
                kind,
                year,
                value,
                "15.01.2026",
                "Begehung, Hausmeister",
                note,
            ]
            .map(str::to_owned),
        );
    };
    for fact in InventoryFact::ALL {
        let (meaning, example) = explained(fact);
        row(fact.german(), "", "", example, meaning);
    }
    for (kind, year, count) in [
        (DeviceKind::Tablet, "2023", "120"),
        (DeviceKind::Display, "2021", "28"),
    ] {
        row(
            DEVICES,
            kind.german(),
            year,
            count,
            "eine Zeile je Art und Anschaffungsjahr",
        );
    }
    rows
}

/// The template as CSV with semicolons.
///
/// # Errors
/// Where the writer refuses.
pub fn template_csv() -> Result<Vec<u8>, ExportError> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(b';')
        .from_writer(b"\xef\xbb\xbf".to_vec());
    writer.write_record(COLUMNS).map_err(ExportError::Csv)?;
    for row in examples() {
        writer.write_record(&row).map_err(ExportError::Csv)?;
    }
    writer
        .into_inner()
        .map_err(|error| ExportError::Csv(error.into_error().into()))
}

/// The template as a workbook: a sheet to fill in, and one that explains it.
///
/// # Errors
/// Where the writer refuses.
pub fn template_xlsx() -> Result<Vec<u8>, ExportError> {
    let mut book = workbook();
    fill(&mut book).map_err(ExportError::Xlsx)?;
    book.save_to_buffer().map_err(ExportError::Xlsx)
}

fn fill(book: &mut Workbook) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let grey = Format::new().set_italic().set_font_color(0x0059_5959);
    let sheet = book.add_worksheet();
    sheet.set_name("Angaben")?;
    for (column, name) in (0_u16..).zip(COLUMNS) {
        sheet.write_string_with_format(0, column, name, &bold)?;
    }
    for (row, cells) in (1_u32..).zip(examples()) {
        for (column, text) in (0_u16..).zip(&cells) {
            sheet.write_string_with_format(row, column, text, &grey)?;
        }
    }
    let facts = InventoryFact::ALL.len() + 1;
    let list = format!("=Erläuterung!$A$2:$A${}", facts + 1);
    let offer = DataValidation::new()
        .allow_list_formula(Formula::new(list))
        .ignore_blank(true);
    sheet.add_data_validation(1, 2, OFFERED_ROWS, 2, &offer)?;
    for (column, width) in [
        (0, 14.0),
        (2, 36.0),
        (3, 14.0),
        (4, 17.0),
        (6, 12.0),
        (7, 24.0),
        (8, 60.0),
    ] {
        sheet.set_column_width(column, width)?;
    }
    sheet.set_freeze_panes(1, 0)?;

    let sheet = book.add_worksheet();
    sheet.set_name("Erläuterung")?;
    for (column, name) in (0_u16..).zip(["Angabe", "Bedeutung", "Wert", "Beispiel"]) {
        sheet.write_string_with_format(0, column, name, &bold)?;
    }
    let mut row = 1;
    for fact in InventoryFact::ALL {
        let (meaning, example) = explained(fact);
        let cells = [
            fact.german().to_owned(),
            meaning.to_owned(),
            fact.accepted_german(),
            example.to_owned(),
        ];
        for (column, text) in (0_u16..).zip(&cells) {
            sheet.write_string(row, column, text)?;
        }
        row += 1;
    }
    let kinds = DeviceKind::ALL.map(DeviceKind::german).join(", ");
    let cells = [
        DEVICES.to_owned(),
        "Geräte einer Art und eines Anschaffungsjahres, eine Zeile je Art und Jahr".to_owned(),
        format!("ganze Zahl; Art: {kinds}"),
        "Tablet, 2023, 120".to_owned(),
    ];
    for (column, text) in (0_u16..).zip(&cells) {
        sheet.write_string(row, column, text)?;
    }
    for note in [
        "Schulnummer: mit oder ohne Land (NW-100001 oder 100001). Zeilen mit \"Beispiel\" werden übersprungen.",
        "Standort: leer für die ganze Schule, sonst das Kürzel des Standorts aus der Standortdatei (z. B. annex).",
        "Stand: der Tag, an dem die Angabe zutraf. Eine neuere Angabe ersetzt eine ältere, nie umgekehrt.",
        "Herkunft: wer die Angabe macht oder wie sie erhoben wurde. Keine Namen von Personen nötig, die Stelle genügt.",
    ] {
        row += 1;
        sheet.write_string_with_format(row + 1, 0, note, &grey)?;
    }
    for (column, width) in [(0, 36.0), (1, 70.0), (2, 40.0), (3, 20.0)] {
        sheet.set_column_width(column, width)?;
    }
    Ok(())
}
