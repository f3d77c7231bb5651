//! Sizes and rates as iperf3 reads them: `128K`, `1G`, `20M`. Of a size, K is 1024; of a rate, 1000 (iperf3,
//! `units.c`, `unit_atoi` and `unit_atof_rate`). A letter that iperf3 would pass over is refused here.

use messnetz_metric::BitRate;

/// Largest number that a float holds exactly.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// A number of bytes that fits `T`.
pub(super) fn size<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = scaled(text, 1024.0)
        .ok_or("a size is a number of bytes, with K, M, G or T for 1024 each, such as 128K")?;
    let fits = T::try_from(number as u64).ok();
    fits.ok_or_else(|| "this is more than can be asked for".to_owned())
}

/// A rate in bit/s, as iperf3 reads it or with its unit.
pub(super) fn rate(text: &str) -> Result<BitRate, String> {
    if let Ok(rate) = text.parse() {
        return Ok(rate);
    }
    let number = scaled(text, 1000.0).ok_or(
        "a rate is a number of bit/s, with K, M, G or T for 1000 each, such as 20M or \"20 Mbit/s\"",
    )?;
    Ok(BitRate::from_bps(number as u64))
}

fn scaled(text: &str, kilo: f64) -> Option<f64> {
    let (number, power) = match text.char_indices().next_back()? {
        (at, letter) if letter.is_ascii_alphabetic() => {
            let power = match letter.to_ascii_uppercase() {
                'K' => 1,
                'M' => 2,
                'G' => 3,
                'T' => 4,
                _ => return None,
            };
            (text.get(..at)?, power)
        }
        _ => (text, 0),
    };
    let is_plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = number.parse::<f64>().ok().filter(|_| is_plain)? * kilo.powi(power);
    (number <= LARGEST).then(|| number.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_by_1024_and_rates_by_1000_as_in_iperf3() {
        for (text, bytes) in [
            ("128K", 131_072),
            ("128k", 131_072),
            ("1.5K", 1_536),
            ("512K", 524_288),
            ("1M", 1_048_576),
            ("1G", 1_073_741_824),
            ("2T", 2_199_023_255_552),
            ("1460", 1_460),
        ] {
            assert_eq!(size::<u64>(text), Ok(bytes), "{text}");
        }
        for (text, bits) in [
            ("20M", 20_000_000),
            ("1.5g", 1_500_000_000),
            ("64K", 64_000),
            ("1000000", 1_000_000),
            ("20 Mbit/s", 20_000_000),
        ] {
            assert_eq!(rate(text), Ok(BitRate::from_bps(bits)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_and_so_is_what_does_not_fit() {
        for text in [
            "", "K", "1X", "-1K", "1KB", "1e3", "1 K", "inf", "NaN", "9999999T", "ü",
        ] {
            assert!(size::<u64>(text).is_err(), "{text}");
            assert!(rate(text).is_err(), "{text}");
        }
        assert!(size::<u32>("4G").is_err() && size::<u32>("3G").is_ok());
        assert!(size::<u16>("64K").is_err() && size::<u16>("1K").is_ok());
    }
}
