//! What a state's list of schools says about a school beyond name and form: its municipality, its
//! authority's number, its address and where it stands. All of it may be missing.

use serde::{Deserialize, Serialize};

/// A school in the words of its state's list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Register {
    /// The form in the Land's own words: `Sekundarschule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub land_form: Option<String>,
    /// The municipality as the list names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// The official key of the municipality (Amtlicher Gemeindeschlüssel); text, for its leading zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub municipality_key: Option<String>,
    /// The number that the state gives to the school's authority (Trägernummer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_number: Option<String>,
}

/// Where post for a site goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and house number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// Postal code; text, for its leading zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// Town.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl Address {
    /// Whether nothing is stated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A place on Earth, WGS 84 (ETRS89 differs by less than a metre).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordinates {
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
}

impl Coordinates {
    /// A place, where both are degrees that exist.
    #[must_use]
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        let sound = lat.abs() <= 90.0 && lon.abs() <= 180.0;
        sound.then_some(Self { lat, lon })
    }

    /// The distance over a sphere of the Earth's mean radius, in kilometres (haversine).
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        const MEAN_RADIUS_KM: f64 = 6_371.0;
        let (lat, other_lat) = (self.lat.to_radians(), other.lat.to_radians());
        let half = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let chord =
            half(other.lat - self.lat) + lat.cos() * other_lat.cos() * half(other.lon - self.lon);
        2.0 * MEAN_RADIUS_KM * chord.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degree_of_latitude_is_111_km() {
        let at = |lat, lon| Coordinates::new(lat, lon).unwrap();
        assert!((at(51.0, 7.0).distance_km(at(52.0, 7.0)) - 111.19).abs() < 0.01);
        assert!(at(51.0, 7.0).distance_km(at(51.0, 7.0)).abs() < 1e-9);
        assert!((at(90.0, 0.0).distance_km(at(-90.0, 10.0)) - 20_015.0).abs() < 1.0);
    }

    #[test]
    fn degrees_that_do_not_exist_are_no_place() {
        for (lat, lon) in [
            (91.0, 0.0),
            (0.0, 181.0),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert_eq!(Coordinates::new(lat, lon), None);
        }
    }
}
