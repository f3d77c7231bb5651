//! What must hold for every chart, and the golden files of some.

use super::*;
use messnetz_metric::BitRate;

fn covered(label: &str, counts: [u32; 4]) -> CoverageRow {
    let [met, missed, undecided, no_data] = counts;
    CoverageRow {
        label: label.to_owned(),
        heading: None,
        met,
        missed,
        undecided,
        no_data,
    }
}

fn mbps(rate: f64) -> BitRate {
    BitRate::from_mbps(rate)
}

/// A school with the tolerance of 3 % that the built-in profiles use.
fn school(
    name: &str,
    measured: Option<f64>,
    required: f64,
    contract: f64,
    verdict: Mark,
) -> ThroughputRow {
    ThroughputRow {
        school: name.to_owned(),
        required: Some(mbps(required)),
        tolerated: Some(mbps(required * 0.97)),
        measured: measured.map(mbps),
        contract: Some(mbps(contract)),
        verdict: Some(verdict),
    }
}

fn example_targets() -> Vec<CoverageRow> {
    vec![
        covered("30 Mbit/s je Klasse + 1", [7, 3, 1, 1]),
        covered("Gigabit-Anschluss (Download)", [2, 9, 0, 1]),
        covered(
            "Paketlaufzeit zum Rechenzentrum des Schulträgers während des Unterrichts",
            [11, 0, 1, 0],
        ),
        covered("Videokonferenz: Jitter", [5, 1, 4, 2]),
        covered("Paketverlust im WLAN", [0, 0, 0, 12]),
        covered("Glasfaser für Förderschulen", [0, 0, 0, 0]),
    ]
}

fn example_schools() -> Vec<ThroughputRow> {
    vec![
        school(
            "Grundschule am Lindenplatz",
            Some(94.1),
            390.0,
            100.0,
            Mark::Missed,
        ),
        school(
            "Städtisches Gymnasium Süd",
            Some(941.3),
            1000.0,
            1000.0,
            Mark::Undecided,
        ),
        school(
            "Berufskolleg für Technik und Wirtschaft, Nebenstelle Hafen",
            Some(489.2),
            480.0,
            500.0,
            Mark::Met,
        ),
        school("Gesamtschule Nord", None, 870.0, 1000.0, Mark::NoData),
        ThroughputRow {
            school: "Förderschule Regenbogen".to_owned(),
            required: None,
            tolerated: None,
            measured: Some(mbps(212.0)),
            contract: None,
            verdict: None,
        },
    ]
}

fn wide_schools() -> Vec<ThroughputRow> {
    vec![
        school("Grundschule Dorf", Some(1.2), 390.0, 16.0, Mark::Missed),
        school("Realschule", Some(0.0), 390.0, 100.0, Mark::Missed),
        school("Gymnasium", Some(9412.0), 1000.0, 10_000.0, Mark::Met),
    ]
}

/// Writes charts to the folder named by `MESSNETZ_CHARTS`, for looking at them.
fn show(name: &str, chart: &Chart) {
    if let Some(folder) = std::env::var_os("MESSNETZ_CHARTS") {
        let path = std::path::Path::new(&folder).join(name);
        std::fs::write(path.with_extension("svg"), chart.svg().unwrap()).unwrap();
        std::fs::write(path.with_extension("png"), chart.png().unwrap()).unwrap();
    }
}

/// Decodes the PNG and returns its size and how many of its pixels are not white.
fn looked_at(png: &[u8]) -> ((u32, u32), usize) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    let inked = pixels[..frame.buffer_size()]
        .chunks_exact(3)
        .filter(|&pixel| pixel != [255; 3])
        .count();
    ((frame.width, frame.height), inked)
}

/// Draws the chart both ways and checks what must hold for every chart.
fn check(name: &str, chart: &Chart) -> String {
    show(name, chart);
    let svg = chart.svg().unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap_or_else(|e| panic!("{name}: {e}"));
    let root = document.root_element();
    let (width, height) = chart.size();
    assert_eq!(root.attribute("width"), Some(width.to_string().as_str()));
    assert!(root.attribute("viewBox").is_some());
    for tag in ["title", "desc"] {
        let node = root.children().find(|n| n.has_tag_name(tag)).unwrap();
        assert!(!node.text().unwrap().trim().is_empty(), "{name}: {tag}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let tag = node.tag_name().name();
        assert!(
            [
                "svg", "title", "desc", "rect", "polyline", "polygon", "circle", "text"
            ]
            .contains(&tag),
            "{name}: <{tag}>"
        );
        for attribute in ["x", "cx", "y", "cy"] {
            let Some(value) = node.attribute(attribute) else {
                continue;
            };
            let value: f64 = value.parse().unwrap();
            let limit = 2 * if attribute.ends_with('x') {
                width
            } else {
                height
            };
            assert!(
                (0.0..=f64::from(limit)).contains(&value),
                "{name}: {attribute}={value} of <{tag}>"
            );
        }
    }
    let ((png_width, png_height), n_inked) = looked_at(&chart.png().unwrap());
    assert_eq!(png_width * height, png_height * width, "{name}");
    assert!(n_inked > 5000, "{name}: the picture is blank");
    svg
}

#[test]
fn coverage_of_an_authority() {
    let svg = check(
        "coverage",
        &coverage(&example_targets(), &ChartWords::german()),
    );
    insta::assert_snapshot!("coverage_german", svg);
}

#[test]
fn throughput_of_an_authority() {
    let svg = check(
        "throughput",
        &throughput(&example_schools(), &ChartWords::german()),
    );
    insta::assert_snapshot!("throughput_german", svg);
}

#[test]
fn throughput_over_four_decades() {
    let svg = check(
        "throughput_wide",
        &throughput(&wide_schools(), &ChartWords::english()),
    );
    assert!(svg.contains("logarithmic scale"));
    insta::assert_snapshot!("throughput_wide_english", svg);
}

#[test]
fn nothing_to_show_is_said_in_words() {
    let words = ChartWords::german();
    assert!(check("coverage_none", &coverage(&[], &words)).contains(">keine Ziele<"));
    assert!(check("throughput_none", &throughput(&[], &words)).contains(">keine Schulen<"));
    let nobody = [covered("Ziel ohne Schulen", [0; 4])];
    assert!(check("coverage_nobody", &coverage(&nobody, &words)).contains(">keine Schulen<"));
}

#[test]
fn a_missing_measurement_is_a_word_and_never_a_bar() {
    let row = ThroughputRow {
        school: "A".to_owned(),
        required: None,
        tolerated: None,
        measured: None,
        contract: None,
        verdict: Some(Mark::NoData),
    };
    let words = ChartWords::german();
    let absent = check("missing", &throughput(std::slice::from_ref(&row), &words));
    assert!(absent.contains(">keine Messung<") && absent.contains(">keine Daten<"));
    let zero = ThroughputRow {
        measured: Some(mbps(0.0)),
        ..row
    };
    let zero = check("zero", &throughput(&[zero], &words));
    assert!(!zero.contains(">keine Messung<") && zero.contains(">0<"));
}

#[test]
fn forty_targets_with_long_names_stay_inside_the_picture() {
    let targets: Vec<_> = (0..40_u8)
        .map(|idx| {
            let label = "Sehr langer Name eines Zieles ".repeat(1 + usize::from(idx % 10));
            covered(&label, [idx, 40 - idx, idx % 7, idx % 3].map(u32::from))
        })
        .collect();
    check("coverage_40", &coverage(&targets, &ChartWords::german()));
}

#[test]
fn two_hundred_schools_with_long_names_stay_inside_the_picture() {
    let schools: Vec<_> = (0..200_u16)
        .map(|idx| {
            let name = "Donaudampfschifffahrtsgesellschaft".repeat(1 + usize::from(idx % 9));
            let mark = Mark::ALL[usize::from(idx % 4)];
            let rate = 1.1_f64.powi(i32::from(idx % 97));
            let measured = (mark != Mark::NoData).then_some(rate);
            school(&name, measured, 30.0 * f64::from(idx + 1), 1000.0, mark)
        })
        .collect();
    check(
        "throughput_200",
        &throughput(&schools, &ChartWords::german()),
    );
}

#[test]
fn the_largest_numbers_are_drawn_too() {
    let words = ChartWords::english();
    let rows = [
        covered("all", [u32::MAX; 4]),
        covered("one", [0, u32::MAX, 0, 1]),
    ];
    check("coverage_largest", &coverage(&rows, &words));
    let most = Some(BitRate::from_bps(u64::MAX));
    let least = Some(BitRate::from_bps(1));
    let rows = [
        (most, least),
        (least, most),
        (Some(BitRate::default()), most),
    ]
    .map(|(measured, required)| ThroughputRow {
        school: "x".to_owned(),
        required,
        tolerated: required,
        measured,
        contract: measured,
        verdict: Some(Mark::Undecided),
    });
    check("throughput_largest", &throughput(&rows, &words));
}

#[test]
fn a_name_cannot_smuggle_markup_into_the_svg() {
    let name = "<script>alert('x')</script> & \"Schule\" ]]> \u{0}\u{8}\u{ffff}<text x=\"1\">";
    let rows = [school(name, Some(1.0), 2.0, 3.0, Mark::Met)];
    let words = ChartWords {
        throughput_title: name.to_owned(),
        ..ChartWords::german()
    };
    let svg = check("smuggle", &throughput(&rows, &words));
    let document = roxmltree::Document::parse(&svg).unwrap();
    let shown: Vec<_> = document.descendants().filter_map(|n| n.text()).collect();
    assert!(
        shown
            .iter()
            .any(|text| text.starts_with("<script>alert('x')"))
    );
    check(
        "smuggle_coverage",
        &coverage(&[covered(name, [1, 2, 3, 4])], &words),
    );
}

#[test]
fn a_tall_picture_gives_up_sharpness_before_memory() {
    let rows = vec![school("Schule", Some(90.0), 100.0, 100.0, Mark::Missed); 80];
    let chart = throughput(&rows, &ChartWords::german());
    let ((width, _), _) = looked_at(&chart.png().unwrap());
    assert_eq!(width, chart.size().0);
}
