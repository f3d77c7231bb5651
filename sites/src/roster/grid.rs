//! Map grids of school lists, turned into latitude and longitude.
//!
//! The inverse of the transverse Mercator projection by Krüger's series to the third order in the third
//! flattening, which is right to well below a millimetre within a UTM zone.

use serde::{Deserialize, Serialize};

use crate::site::Coordinates;

/// What a list's coordinates are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grid {
    /// Degrees of latitude and longitude.
    #[default]
    Wgs84,
    /// UTM zone 32 on ETRS89 (EPSG:25832), in metres: western and central Germany.
    Utm32,
    /// UTM zone 33 on ETRS89 (EPSG:25833), in metres: eastern Germany.
    Utm33,
    /// British National Grid (EPSG:27700), in metres.
    Osgb36,
}

impl Grid {
    /// The grid of an EPSG number.
    pub(super) fn of_epsg(epsg: &str) -> Option<Self> {
        match epsg {
            "4326" | "4258" => Some(Self::Wgs84),
            "25832" => Some(Self::Utm32),
            "25833" => Some(Self::Utm33),
            "27700" => Some(Self::Osgb36),
            _ => None,
        }
    }

    /// The place of a pair of numbers: easting or longitude, northing or latitude.
    pub(super) fn place(self, east: f64, north: f64) -> Option<Coordinates> {
        match self {
            Self::Wgs84 => Coordinates::new(north, east),
            Self::Utm32 => in_metres(east, north)
                .then(|| utm(9.0).place(east, north))
                .flatten(),
            Self::Utm33 => in_metres(east, north)
                .then(|| utm(15.0).place(east, north))
                .flatten(),
            Self::Osgb36 => in_metres(east, north)
                .then(|| BRITISH.place(east, north).map(airy_to_wgs84))
                .flatten(),
        }
    }
}

/// Whether two numbers can be metres of a grid at all: beyond it the series means nothing.
fn in_metres(east: f64, north: f64) -> bool {
    (-1_000_000.0..=2_000_000.0).contains(&east) && (0.0..=10_000_000.0).contains(&north)
}

/// An ellipsoid by its larger half axis in metres and its third flattening.
#[derive(Clone, Copy)]
struct Ellipsoid {
    half_axis: f64,
    third_flattening: f64,
}

/// GRS 80, of ETRS89: f = 1/298.257222101.
const GRS80: Ellipsoid = Ellipsoid {
    half_axis: 6_378_137.0,
    third_flattening: 1.679_220_394_6e-3,
};

/// Airy 1830, of the British grid: f = 1/299.3249646.
const AIRY: Ellipsoid = Ellipsoid {
    half_axis: 6_377_563.396,
    third_flattening: 1.673_220_310_3e-3,
};

struct TransverseMercator {
    ellipsoid: Ellipsoid,
    scale: f64,
    /// Latitude and longitude of the true origin, in degrees.
    origin: (f64, f64),
    /// Easting and northing of the true origin.
    at_origin: (f64, f64),
}

const fn utm(central_meridian: f64) -> TransverseMercator {
    TransverseMercator {
        ellipsoid: GRS80,
        scale: 0.9996,
        origin: (0.0, central_meridian),
        at_origin: (500_000.0, 0.0),
    }
}

/// Ordnance Survey, *A guide to coordinate systems in Great Britain*, annex A.
const BRITISH: TransverseMercator = TransverseMercator {
    ellipsoid: AIRY,
    scale: 0.999_601_271_7,
    origin: (49.0, -2.0),
    at_origin: (400_000.0, -100_000.0),
};

impl Ellipsoid {
    /// The radius of the circle that is as long as a meridian.
    fn meridian_radius(self) -> f64 {
        let n = self.third_flattening;
        self.half_axis / (1.0 + n) * (1.0 + n * n / 4.0 + n.powi(4) / 64.0)
    }

    /// The length of the meridian from the equator to a latitude, in metres.
    fn meridian_arc(self, latitude: f64) -> f64 {
        let n = self.third_flattening;
        let alpha = [
            n / 2.0 - 2.0 / 3.0 * n * n + 5.0 / 16.0 * n.powi(3),
            13.0 / 48.0 * n * n - 3.0 / 5.0 * n.powi(3),
            61.0 / 240.0 * n.powi(3),
        ];
        let eccentricity = 2.0 * n.sqrt() / (1.0 + n);
        let sine = latitude.to_radians().sin();
        let conformal = (sine.atanh() - eccentricity * (eccentricity * sine).atanh())
            .sinh()
            .atan();
        let sum: f64 = (1..)
            .zip(alpha)
            .map(|(j, a)| a * (2.0 * f64::from(j) * conformal).sin())
            .sum();
        self.meridian_radius() * (conformal + sum)
    }

    fn eccentricity_squared(self) -> f64 {
        let n = self.third_flattening;
        4.0 * n / (1.0 + n).powi(2)
    }
}

impl TransverseMercator {
    /// Latitude and longitude on the grid's own ellipsoid.
    fn place(&self, east: f64, north: f64) -> Option<Coordinates> {
        let n = self.ellipsoid.third_flattening;
        let radius = self.scale * self.ellipsoid.meridian_radius();
        let from_equator = self.scale * self.ellipsoid.meridian_arc(self.origin.0);
        let xi = (north - self.at_origin.1 + from_equator) / radius;
        let eta = (east - self.at_origin.0) / radius;
        let beta = [
            n / 2.0 - 2.0 / 3.0 * n * n + 37.0 / 96.0 * n.powi(3),
            n * n / 48.0 + n.powi(3) / 15.0,
            17.0 / 480.0 * n.powi(3),
        ];
        let (mut xi_sphere, mut eta_sphere) = (xi, eta);
        for (j, b) in (1..).zip(beta) {
            let twice = 2.0 * f64::from(j);
            xi_sphere -= b * (twice * xi).sin() * (twice * eta).cosh();
            eta_sphere -= b * (twice * xi).cos() * (twice * eta).sinh();
        }
        let conformal = (xi_sphere.sin() / eta_sphere.cosh()).asin();
        let delta = [
            2.0 * n - 2.0 / 3.0 * n * n - 2.0 * n.powi(3),
            7.0 / 3.0 * n * n - 8.0 / 5.0 * n.powi(3),
            56.0 / 15.0 * n.powi(3),
        ];
        let sum: f64 = (1..)
            .zip(delta)
            .map(|(j, d)| d * (2.0 * f64::from(j) * conformal).sin())
            .sum();
        let east_of_origin = (eta_sphere.sinh() / xi_sphere.cos()).atan().to_degrees();
        Coordinates::new(
            (conformal + sum).to_degrees(),
            self.origin.1 + east_of_origin,
        )
    }
}

/// The Ordnance Survey's seven parameters, right to about 5 m.
fn airy_to_wgs84(at: Coordinates) -> Coordinates {
    let (lat, lon) = (at.lat.to_radians(), at.lon.to_radians());
    let e2 = AIRY.eccentricity_squared();
    let normal = AIRY.half_axis / (1.0 - e2 * lat.sin().powi(2)).sqrt();
    let (x, y, z) = (
        normal * lat.cos() * lon.cos(),
        normal * lat.cos() * lon.sin(),
        normal * (1.0 - e2) * lat.sin(),
    );
    let scale = 1.0 - 20.4894e-6;
    let seconds = |angle: f64| (angle / 3600.0).to_radians();
    let (rx, ry, rz) = (seconds(0.1502), seconds(0.2470), seconds(0.8421));
    let (x, y, z) = (
        446.448 + scale * x - rz * y + ry * z,
        -125.157 + rz * x + scale * y - rx * z,
        542.060 - ry * x + rx * y + scale * z,
    );
    let e2 = GRS80.eccentricity_squared();
    let across = x.hypot(y);
    let mut lat = z.atan2(across * (1.0 - e2));
    for _ in 0..5 {
        let normal = GRS80.half_axis / (1.0 - e2 * lat.sin().powi(2)).sqrt();
        lat = (z + e2 * normal * lat.sin()).atan2(across);
    }
    Coordinates {
        lat: lat.to_degrees(),
        lon: y.atan2(x).to_degrees(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(at: Coordinates, lat: f64, lon: f64, within: f64) {
        let close = (at.lat - lat).abs() < within && (at.lon - lon).abs() < within;
        assert!(close, "{at:?} is not {lat} {lon}");
    }

    #[test]
    fn utm_on_its_central_meridian_is_the_arc_of_the_meridian() {
        // The arc from the equator to 45° on GRS 80 is 4 984 944.378 m; UTM scales it by 0.9996.
        let at = Grid::Utm32
            .place(500_000.0, 4_984_944.378 * 0.9996)
            .unwrap();
        near(at, 45.0, 9.0, 1e-7);
        let east = Grid::Utm33
            .place(500_000.0, 4_984_944.378 * 0.9996)
            .unwrap();
        near(east, 45.0, 15.0, 1e-7);
    }

    #[test]
    fn the_ordnance_surveys_own_example_comes_out() {
        // A guide to coordinate systems in Great Britain, annex C: Caister water tower.
        let on_airy = BRITISH.place(651_409.903, 313_177.270).unwrap();
        near(
            on_airy,
            52.0 + 39.0 / 60.0 + 27.2531 / 3600.0,
            1.0 + 43.0 / 60.0 + 4.5177 / 3600.0,
            1e-7,
        );
        let at = Grid::Osgb36.place(651_409.903, 313_177.270).unwrap();
        near(at, 52.657_98, 1.716_05, 1e-4);
    }

    #[test]
    fn numbers_that_are_no_metres_are_no_place() {
        for (east, north) in [
            (f64::NAN, 0.0),
            (1e300, 1e300),
            (-5e6, 5e6),
            (500_000.0, -1.0),
        ] {
            for grid in [Grid::Utm32, Grid::Utm33, Grid::Osgb36, Grid::Wgs84] {
                assert_eq!(grid.place(east, north), None, "{grid:?} {east} {north}");
            }
        }
    }
}
