//! Which code page a list is written in, and its text.
//!
//! Lists of schools come as UTF-8, as Windows-1252 and, from old systems, as code page 850; none of them
//! says which. The bytes of German letters tell them apart: `ü` is FC in Windows-1252 and 81 in 850.

use serde::Serialize;

use super::{Finding, Grade, Reason};

/// The code page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[serde(rename = "UTF-8")]
    Utf8,
    /// UTF-16 with a byte order mark, as spreadsheets save "Unicode text".
    #[serde(rename = "UTF-16")]
    Utf16,
    /// Windows-1252, which holds ISO 8859-1.
    #[serde(rename = "Windows-1252")]
    Windows1252,
    /// Code page 850 of DOS.
    #[serde(rename = "code page 850")]
    CodePage850,
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Windows1252 => "Windows-1252",
            Self::CodePage850 => "code page 850",
        })
    }
}

/// The text of a list with its code page, and what is wrong with its characters.
pub(super) fn decode(bytes: &[u8]) -> (String, Encoding, Vec<Finding>) {
    if let Some((unicode, _)) = encoding_rs::Encoding::for_bom(bytes)
        && unicode != encoding_rs::UTF_8
    {
        let (text, ..) = unicode.decode(bytes);
        let findings = wrong_characters(&text);
        return (text.into_owned(), Encoding::Utf16, findings);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (text, encoding) = match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), Encoding::Utf8),
        Err(_) if mostly_utf8(bytes) => {
            (String::from_utf8_lossy(bytes).into_owned(), Encoding::Utf8)
        }
        Err(_) if looks_like_850(bytes) => {
            let text = bytes.iter().map(|&byte| from_850(byte)).collect();
            (text, Encoding::CodePage850)
        }
        Err(_) => (
            encoding_rs::WINDOWS_1252
                .decode_without_bom_handling(bytes)
                .0
                .into_owned(),
            Encoding::Windows1252,
        ),
    };
    let findings = wrong_characters(&text);
    (text, encoding, findings)
}

/// Whether there are more sequences of several bytes that UTF-8 knows than bytes that it does not: a file
/// that is cut off within a letter, or has been patched with another code page, is still UTF-8.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > bad
}

fn looks_like_850(bytes: &[u8]) -> bool {
    let (mut windows, mut dos) = (0_usize, 0_usize);
    for byte in bytes {
        match byte {
            // ä ö ü Ä Ö Ü ß é in Windows-1252
            0xE4 | 0xF6 | 0xFC | 0xC4 | 0xD6 | 0xDC | 0xDF | 0xE9 => windows += 1,
            // and in 850; there E1 is ß
            0x84 | 0x94 | 0x81 | 0x8E | 0x99 | 0x9A | 0xE1 | 0x82 => dos += 1,
            _ => {}
        }
    }
    dos > windows
}

fn from_850(byte: u8) -> char {
    /// The upper half of code page 850.
    const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";
    if byte.is_ascii() {
        return char::from(byte);
    }
    let at = usize::from(byte - 0x80);
    UPPER.chars().nth(at).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Lines whose characters have been through the wrong code page, here or before.
fn wrong_characters(text: &str) -> Vec<Finding> {
    /// `ä ö ü ß Ä Ö Ü` of UTF-8 read as Windows-1252.
    const READ_TWICE: [&str; 7] = ["Ã¤", "Ã¶", "Ã¼", "ÃŸ", "Ã„", "Ã–", "Ãœ"];
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.is_ascii() {
            continue;
        }
        let reason = if line.contains(char::REPLACEMENT_CHARACTER) {
            Reason::NoCharacters
        } else if READ_TWICE.iter().any(|pair| line.contains(pair)) {
            Reason::WrongCodePage
        } else {
            continue;
        };
        findings.push(Finding {
            grade: Grade::ValueRefused,
            ..Finding::row(at + 1, reason)
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_page_is_known_by_the_bytes_of_its_umlauts() {
        let text = "Schule;Ort\nGroße Höhe;Köln\nÜbung;Münster\n";
        let in_850: Vec<u8> = text
            .chars()
            .map(|c| (0..=255).find(|byte| from_850(*byte) == c).unwrap())
            .collect();
        let in_1252 = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
        let with_bom = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let utf16: Vec<u8> = [0xFEFF]
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        for (bytes, encoding) in [
            (text.as_bytes().to_vec(), Encoding::Utf8),
            (with_bom, Encoding::Utf8),
            (utf16, Encoding::Utf16),
            (in_1252, Encoding::Windows1252),
            (in_850, Encoding::CodePage850),
        ] {
            assert_eq!(decode(&bytes), (text.to_owned(), encoding, Vec::new()));
        }
    }

    #[test]
    fn a_letter_cut_in_half_leaves_utf_8_and_is_reported() {
        let bytes = "Köln, Münster, Gütersloh, ü".as_bytes();
        let (text, encoding, findings) = decode(&bytes[..bytes.len() - 1]);
        assert_eq!(encoding, Encoding::Utf8);
        assert!(text.starts_with("Köln, Münster"));
        assert_eq!(findings[0].line, 1);
    }

    #[test]
    fn a_list_saved_in_the_wrong_code_page_is_reported_by_line() {
        let (_, encoding, findings) = decode("Name\nKÃ¶ln\n".as_bytes());
        assert_eq!(encoding, Encoding::Utf8);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 2);
    }
}
